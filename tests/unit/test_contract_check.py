"""`python -m common.contract`: what is committed is what the code says, and main's promises are kept."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from common import contract, topics
from common.asyncapi import PARTIES, document
from common.events import REGISTRY

HERE = Path(__file__).parents[2]
GOLDEN = HERE / "tests/data/events"


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository whose main holds the contract as it is now."""
    git(tmp_path, "init", "-q", "-b", "main")
    contract.write(tmp_path)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Write the contract")
    return tmp_path


def on_main(root: Path, path: Path, change: Any) -> None:
    """Pretend that main promised something else."""
    data = json.loads((root / path).read_text())
    change(data)
    (root / path).write_text(json.dumps(data))
    git(root, "commit", "-qam", "Promise something else")
    contract.write(root)


def test_the_committed_files_are_what_the_code_says() -> None:
    assert contract.stale(HERE) == []


def test_a_kept_contract(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main(["check", "--root", str(checkout)]) == 0
    assert "kept" in capsys.readouterr().out


def test_stale_missing_and_extra_files(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / contract.ASYNCAPI).write_text("{}")
    (checkout / contract.SCHEMAS / "job.control.json").unlink()
    (checkout / contract.SCHEMAS / "job.gone.json").write_text("{}")
    assert contract.main(["check", "--root", str(checkout)]) == 1
    said = capsys.readouterr().out
    for problem in ("asyncapi.json is not what", "job.control.json is not what", "job.gone.json belongs to no event"):
        assert problem in said
    contract.write(checkout)
    assert contract.check(checkout, ["main"]) == []


def test_a_field_that_main_promised(checkout: Path) -> None:
    on_main(
        checkout,
        contract.SCHEMAS / "upload.received.json",
        lambda schema: schema["properties"].update(colour={"type": "string"}),
    )
    [problem] = contract.check(checkout, ["main"])
    assert problem.startswith("upload.received: colour: removed")


def test_a_field_that_main_did_not_need(checkout: Path) -> None:
    on_main(
        checkout,
        contract.SCHEMAS / "upload.received.json",
        lambda schema: (schema["required"].remove("sha256"), schema["properties"].pop("sha256")),
    )
    [problem] = contract.check(checkout, ["main"])
    assert problem.startswith("upload.received: sha256: new, but required")


def test_a_value_that_main_allowed(checkout: Path) -> None:
    on_main(
        checkout,
        contract.SCHEMAS / "job.control.json",
        lambda schema: schema["properties"]["action"]["enum"].append("pause"),
    )
    [problem] = contract.check(checkout, ["main"])
    assert problem.startswith("job.control: action: can no longer be 'pause'")


def test_a_topic_and_an_event_of_main(checkout: Path) -> None:
    (checkout / contract.SCHEMAS / "job.paused.json").write_text('{"type": "object"}')
    git(checkout, "add", ".")

    def change(found: dict[str, Any]) -> None:
        found["job.paused"] = {"cleanup.policy": "delete"}
        found["stage.progress"] = {"cleanup.policy": "compact"}

    on_main(checkout, contract.TOPICS, change)
    problems = "\n".join(contract.check(checkout, ["main"]))
    assert "job.paused: the event was removed" in problems
    assert "the topic job.paused was removed" in problems
    assert "the topic stage.progress changed from compact" in problems


def test_a_main_without_schemas_promises_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-qm", "Begin", "--allow-empty")
    contract.write(tmp_path)
    assert contract.check(tmp_path, ["main"]) == []


def test_a_clone_without_main_says_so(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.check(checkout, ["nowhere"]) == []
    assert "compared with nothing" in capsys.readouterr().err
    assert contract.committed(checkout, "main") is not None


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def looked_up(root: dict[str, Any], reference: str) -> Any:
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    whole = document()
    found = set(references(whole))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        assert looked_up(whole, reference)


def test_the_asyncapi_document_covers_every_event_and_topic() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert set(whole["channels"]) == {name for event in REGISTRY.values() for name in topics.names(event)}
    assert set(PARTIES) == set(REGISTRY.values())
    for operation in whole["operations"].values():
        channel = operation["channel"]["$ref"]
        assert operation["action"] in {"send", "receive"}
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
    for name, channel in whole["channels"].items():
        compacted = "compact" in channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
        assert ("tombstone" in channel["messages"]) == compacted, name


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_golden_events_are_what_the_document_says(kind: str) -> None:
    whole = document()
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())
    message = whole["components"]["messages"][kind]
    for schema, instance in ((message["headers"], golden["headers"]), (message["payload"], golden["value"])):
        rooted = {**schema, "components": whole["components"]}
        for dialect in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
            dialect.check_schema(schema)
            dialect(rooted, format_checker=dialect.FORMAT_CHECKER).validate(instance)
            with pytest.raises(jsonschema.ValidationError):
                dialect(rooted).validate({})


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_golden_events_are_what_their_schema_says_and_may_grow(kind: str) -> None:
    schema = json.loads((HERE / contract.SCHEMAS / f"{kind}.json").read_text())
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())["value"]
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(golden)
    validator.validate({**golden, "a_later_field": 1})
    for name in schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({key: value for key, value in golden.items() if key != name})

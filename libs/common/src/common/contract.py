"""`python -m common.contract check|write`: the committed schemas are the code's, and only add to those on main."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.asyncapi import document, opened, render
from common.compatibility import violations
from common.events import REGISTRY, Event
from common.topics import specs

FOLDER = Path("docs/events")
"""Where the generated files lie in the repository."""

SCHEMAS = FOLDER / "schemas"
TOPICS = FOLDER / "topics.json"
ASYNCAPI = FOLDER / "asyncapi.json"


def schema(cls: type[Event]) -> dict[str, Any]:
    """An event's JSON Schema for readers: open to fields that are added later."""
    own: dict[str, Any] = opened(cls.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **own}


def generated() -> dict[Path, str]:
    """Every generated file by its path in the repository."""
    files = {SCHEMAS / f"{kind}.json": render(schema(cls)) for kind, cls in REGISTRY.items()}
    files[TOPICS] = render({spec.name: dict(spec.config) for spec in specs()})
    files[ASYNCAPI] = render(document())
    return files


def stale(root: Path) -> list[str]:
    """Generated files that are not as the code says, a line each."""
    files = generated()
    problems = [
        f"{path} is not what the code says: run `python -m common.contract write`"
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text() != text
    ]
    extra = {path.relative_to(root) for path in (root / SCHEMAS).glob("*.json")} - set(files)
    return problems + [f"{path} belongs to no event" for path in sorted(extra)]


def broken(old: Mapping[Path, str]) -> list[str]:
    """What the code breaks of an older contract, a line each.

    Parameters
    ----------
    old
        The older generated files by their paths; those that are missing promise nothing.
    """
    problems = []
    for path, text in sorted(old.items()):
        if path.parent == SCHEMAS:
            cls = REGISTRY.get(path.stem)
            found = ["the event was removed"] if cls is None else violations(json.loads(text), schema(cls))
            problems += [f"{path.stem}: {problem}" for problem in found]
    now = {spec.name: spec.config for spec in specs()}
    for name, config in json.loads(old.get(TOPICS, "{}")).items():
        if name not in now:
            problems.append(f"the topic {name} was removed")
        elif now[name]["cleanup.policy"] != config["cleanup.policy"]:
            problems.append(f"the topic {name} changed from {config['cleanup.policy']} to another clean-up")
    return problems


def committed(root: Path, ref: str) -> dict[Path, str] | None:
    """The generated files of a git commit; None when there is no such commit, as in a shallow clone."""
    if _git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}") is None:
        return None
    names = _git(root, "ls-tree", "-r", "-z", "--name-only", ref, "--", str(FOLDER)) or ""
    paths = [Path(name) for name in names.split("\0") if name.endswith(".json")]
    return {path: _git(root, "show", f"{ref}:{path}") or "" for path in paths}


def write(root: Path) -> None:
    """Write every generated file, and remove schemas of events that are gone."""
    files = generated()
    for path in (root / SCHEMAS).glob("*.json"):
        if path.relative_to(root) not in files:
            path.unlink()
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def check(root: Path, refs: Sequence[str]) -> list[str]:
    """Problems of the contract in a checkout, a line each.

    Parameters
    ----------
    root
        The checkout.
    refs
        Commits to compare with; the first that exists counts.
    """
    problems = stale(root)
    for ref in refs:
        if (old := committed(root, ref)) is not None:
            return problems + [f"{problem} (in {ref} it was otherwise)" for problem in broken(old)]
    print(f"the contract is compared with nothing: no commit is called {' or '.join(refs)}", file=sys.stderr)
    return problems


def _git(root: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the contract is kept."""
    parser = argparse.ArgumentParser(prog="python -m common.contract", description=__doc__)
    parser.add_argument("command", choices=["check", "write"])
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout (default: here)")
    parser.add_argument("--against", action="append", help="commit to compare with (default: main, origin/main)")
    chosen = parser.parse_args(arguments)
    if chosen.command == "write":
        write(chosen.root)
        return 0
    problems = check(chosen.root, chosen.against or ["main", "origin/main"])
    print("\n".join(problems) or "the contract is kept")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

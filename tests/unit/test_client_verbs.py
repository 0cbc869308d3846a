"""Both clients ask for the same things in the same way, wait as they are told to, and repeat only what may be."""

import inspect
import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire import AsyncClient, Client, Gateway, NotConfigured, Problem, Unreachable
from scribewire.errors import seconds_of
from scribewire.verbs.batches import kind_of
from support.fake_gateway import FakeGateway, Scripted, serving


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        fake.people.key("k")
        yield fake


@pytest.fixture
def client(fake: FakeGateway) -> Iterator[Client]:
    with Client(Gateway(fake.url, "k"), patience=10) as client:
        yield client


def verbs(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(function)
        for name, function in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_verbs_with_the_same_parameters() -> None:
    blocking, asynchronous = verbs(Client), verbs(AsyncClient)
    assert len(blocking) > 30
    assert {name: list(s.parameters.values()) for name, s in blocking.items()} == {
        name: list(s.parameters.values()) for name, s in asynchronous.items()
    }
    lazy = {"history", "batches", "batch_items", "follow"}
    for name, function in inspect.getmembers(AsyncClient, inspect.isfunction):
        if name in blocking and name not in lazy:
            assert inspect.iscoroutinefunction(function), name


@pytest.mark.parametrize("media", [b"some bytes", Path("talk.wav")], ids=["bytes", "file"])
def test_bytes_and_files_become_jobs(client: Client, fake: FakeGateway, media: bytes | Path, tmp_path: Path) -> None:
    if isinstance(media, Path):
        media = tmp_path / media
        media.write_bytes(b"some bytes")
    job = client.submit(media, {"diarize": "true"}, filename="a b.wav")
    assert (fake.bodies[job["id"]], fake.jobs[job["id"]]["filename"]) == (b"some bytes", "a%20b.wav")
    assert [state["status"] for state in client.follow(job["id"])] == ["transcribing", "completed"]
    assert client.transcript(job["id"], format="srt").startswith(b"srt of ")


def test_the_same_key_is_the_same_job(client: Client) -> None:
    first = client.submit(b"x", idempotency_key="1")
    assert client.submit(b"x", idempotency_key="1")["id"] == first["id"]
    assert client.submit(b"x")["id"] != first["id"]
    with pytest.raises(Problem, match="another file"):
        client.submit(b"y", idempotency_key="1")


def test_an_address_becomes_a_job(client: Client, fake: FakeGateway) -> None:
    job = client.submit_url("https://example.test/talk.mp4", {"language": "de", "translate": ["en"]})
    assert fake.jobs[job["id"]]["options"] == {"language": "de", "translate": ["en"]}


def test_history_is_every_page(client: Client) -> None:
    ids = [client.submit(str(n).encode())["id"] for n in range(101)]
    assert [job["id"] for job in client.history()] == list(reversed(ids))
    assert len(client.jobs(limit=5)["jobs"]) == 5


async def test_the_asynchronous_client_does_all_of_it(fake: FakeGateway) -> None:
    async with AsyncClient(Gateway(fake.url)) as client:
        answer = await client.register(
            "eve@example.test", "Passw0rd", username="eve", gdpr_consent=True, data_retention_agreed=True
        )
        assert answer["user"]["username"] == "eve"
        job = await client.submit(b"some bytes")
        assert [state["status"] async for state in client.follow(job["id"])] == ["transcribing", "completed"]
        assert [job["id"] async for job in client.history()] == [job["id"]]
        batch = await client.submit_batch(b'{"url": "https://example.test/1"}\n' * 5)
        assert [item["line"] async for item in client.batch_items(batch["id"])] == [1, 2, 3, 4, 5]
        key = await client.create_key("ci", ["jobs:read"])
        assert [entry["name"] for entry in await client.keys()] == ["test", "ci"]
        await client.revoke_key(key["id"])
        assert (await client.usage())["plan"] == "free"
        file = io.BytesIO()
        await client.export(file)
        assert zipfile.ZipFile(file).namelist() == ["account.json"]
        await client.delete_account()
    assert not fake.people.accounts


def test_batches_are_streamed_listed_and_repeated(client: Client, fake: FakeGateway, tmp_path: Path) -> None:
    manifest = tmp_path / "many.jsonl"
    lines = ['{"url": "https://example.test/broken"}' if n % 3 == 0 else f'{{"upload": "{n}"}}' for n in range(7)]
    manifest.write_text("\n".join(lines))
    batch = client.submit_batch(manifest, idempotency_key="1", options={"language": "de"})
    assert client.submit_batch(manifest, idempotency_key="1")["id"] == batch["id"]
    assert fake.batches[batch["id"]]["content"] == manifest.read_bytes()
    assert [item["line"] for item in client.batch_items(batch["id"], status="failed")] == [1, 4, 7]
    assert client.retry_batch(batch["id"])["failed"] == 0


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", "", "ndjson"),
        ("a.CSV", "", "csv"),
        ("a", "\ufeff  {", "ndjson"),
        ("a", "url,options\n", "csv"),
        ("a.txt", "", "csv"),
    ],
)
def test_the_manifests_form_is_found_out(tmp_path: Path, name: str, content: str, kind: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    assert kind_of(file) == kind
    if "." not in name:
        assert kind_of(content.encode()) == kind


def test_the_wait_that_is_asked_for_is_waited(client: Client, fake: FakeGateway) -> None:
    fake.scripts["GET", "/v1/usage"].append(Scripted(429, {"detail": "Slow down."}, {"Retry-After": "1"}))
    began = time.monotonic()
    assert client.usage()["plan"] == "free"
    assert 1.0 <= time.monotonic() - began < 5


def test_a_wait_of_nothing_is_no_wish_to_be_hammered(fake: FakeGateway) -> None:
    fake.scripts["GET", "/v1/usage"].extend([Scripted(503, {"detail": "Away."}, {"Retry-After": "0"})] * 1000)
    with Client(Gateway(fake.url, "k"), patience=0.8) as client, pytest.raises(Problem, match="Away"):
        client.usage()
    assert fake.count("GET", "/v1/usage") < 6


def test_a_wait_beyond_patience_is_told_at_once(client: Client, fake: FakeGateway) -> None:
    fake.scripts["GET", "/v1/usage"].append(Scripted(429, {"detail": "50 jobs an hour."}, {"Retry-After": "1800"}))
    began = time.monotonic()
    with pytest.raises(Problem, match="50 jobs an hour") as told:
        client.usage()
    assert told.value.retry_after == 1800
    assert time.monotonic() - began < 5


def test_a_wait_can_be_a_date() -> None:
    assert seconds_of("120") == 120
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (seconds_of("Fri, 01 Jan 2100 00:00:00 GMT") or 0) > 1e9
    assert [seconds_of(text) for text in ("", "soon", "-1", "²")] == [None] * 4


def test_a_submit_is_repeated_under_its_key(client: Client, fake: FakeGateway) -> None:
    fake.scripts["POST", "/v1/jobs"].extend([Scripted(drop=True), Scripted(503, {"detail": "Away."})])
    client.submit(b"x")
    keys = {headers["Idempotency-Key"] for method, path, headers in fake.requests if path == "/v1/jobs"}
    assert (fake.count("POST", "/v1/jobs"), len(keys), len(fake.jobs)) == (3, 1, 1)


def test_a_key_is_not_made_twice_where_an_answer_was_lost(client: Client, fake: FakeGateway) -> None:
    client.usage()
    fake.scripts["POST", "/v1/keys"].append(Scripted(drop=True))
    with pytest.raises(Unreachable):
        client.create_key("ci")
    assert fake.count("POST", "/v1/keys") == 1


def test_what_may_have_been_done_is_not_done_twice_for_a_503(client: Client, fake: FakeGateway) -> None:
    away = Scripted(503, {"detail": "Away."}, {"Retry-After": "0"})
    for path in ("/v1/keys", "/v1/webhooks"):
        fake.scripts["POST", path].extend([away] * 2)
    with pytest.raises(Problem, match="Away"):
        client.create_key("ci")
    with pytest.raises(Problem, match="Away"):
        client.add_webhook("https://example.test")
    assert (fake.count("POST", "/v1/keys"), fake.count("POST", "/v1/webhooks")) == (1, 1)


def test_what_was_refused_before_it_was_begun_is_asked_for_again(client: Client, fake: FakeGateway) -> None:
    fake.scripts["POST", "/v1/keys"].append(Scripted(429, {"detail": "Slow down."}, {"Retry-After": "0"}))
    assert client.create_key("ci")["name"] == "ci"
    assert fake.count("POST", "/v1/keys") == 2


@pytest.mark.parametrize("url", ["http://[", "ftp://example.test", "example.test", "http://a:b@example.test"])
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with (
        pytest.raises(NotConfigured, match="is not the address of a gateway"),
        Client(Gateway(url, "k")),
    ):
        pass


def test_what_is_no_gateway_is_said_to_be_none(client: Client, fake: FakeGateway) -> None:
    fake.scripts["GET", "/v1/usage"].append(Scripted(200, "<html>"))
    with pytest.raises(Problem, match="is not a Scribewire gateway"):
        client.usage()


def test_an_id_is_one_part_of_the_path(client: Client, fake: FakeGateway) -> None:
    with pytest.raises(Problem):
        client.job("../account?x=1#y")
    assert fake.requests[-1][1] == "/v1/jobs/../account?x=1#y"

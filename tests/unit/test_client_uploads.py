"""Uploads that are cut, forgotten and interrupted arrive whole, once."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire import AsyncClient, Client, FileChanged, Gateway, Problem, ScribewireError, Unreachable, unfinished
from scribewire.verbs import uploads
from scribewire.verbs.unfinished import NOT_KEPT
from support.fake_gateway import FakeGateway, Scripted, serving
from support.waiting import until

SIZE = 3_000_000


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        fake.people.key("k")
        yield fake


@pytest.fixture
def client(fake: FakeGateway) -> Iterator[Client]:
    with Client(Gateway(fake.url, "k"), patience=10) as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "größe.wav"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def test_one_request_carries_all_of_it(client: Client, fake: FakeGateway, file: Path) -> None:
    told: list[int] = []
    job = client.upload(file, {"language": "de", "translate": ["en"]}, sent=told.append)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert (fake.count("PATCH", "/v1/uploads/*"), told[-1]) == (1, SIZE)
    assert told == sorted(told)
    assert job["filename"] == "größe.wav"
    assert job["options"] == {"language": "de", "translate": ["en"]}


def test_after_a_cut_it_goes_on_where_it_was(client: Client, fake: FakeGateway, file: Path) -> None:
    fake.uploads.cut_at = [500_000, 1_000_000, 2_500_000]
    job = client.upload(file)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert fake.count("POST", "/v1/uploads") == 1
    # Cut three times; what had arrived was not sent again.
    assert fake.count("PATCH", "/v1/uploads/*") == 4
    assert fake.uploads.received == SIZE


async def test_the_asynchronous_client_goes_on_as_well(fake: FakeGateway, file: Path) -> None:
    fake.uploads.cut_at = [1_000_000]
    async with AsyncClient(Gateway(fake.url, "k")) as client:
        job = await client.upload(file)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert fake.uploads.received == SIZE


def test_an_offset_that_is_not_the_gateways_is_asked_for(client: Client, fake: FakeGateway, file: Path) -> None:
    upload = Scripted(200, headers={"Upload-Offset": "5", "Tus-Resumable": "1.0.0"})
    with unfinished(fake.url, file, {}, file.parent / "state") as memory:
        fake.uploads.cut_at = [1_000_000]
        original = fake.uploads._create

        async def create(request):  # type: ignore[no-untyped-def]
            response = await original(request)
            # The first HEAD lies, as a cache between would.
            fake.scripts["HEAD", response.headers["Location"]].append(upload)
            return response

        fake.uploads._create = create  # type: ignore[method-assign]
        job = client.upload(file, unfinished=memory)
    assert fake.bodies[job["id"]] == file.read_bytes()


def test_one_that_expired_begins_anew(client: Client, fake: FakeGateway, file: Path) -> None:
    with unfinished(fake.url, file, {}, file.parent / "state") as memory:
        interrupt(client, fake, file, memory)
        fake.uploads.forget()
        job = client.upload(file, unfinished=memory)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert fake.count("POST", "/v1/uploads") == 2


def test_another_run_goes_on_with_what_was_begun(client: Client, fake: FakeGateway, file: Path) -> None:
    state = file.parent / "state"
    with unfinished(fake.url, file, {}, state) as memory:
        interrupt(client, fake, file, memory)
    arrived = fake.uploads.received
    assert 0 < arrived < SIZE
    with unfinished(fake.url, file, {}, state) as memory:
        job = client.upload(file, unfinished=memory)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert (fake.uploads.received, fake.count("POST", "/v1/uploads")) == (SIZE, 1)


def test_a_job_that_was_uploaded_whole_is_not_uploaded_again(client: Client, fake: FakeGateway, file: Path) -> None:
    state = file.parent / "state"
    for _ in range(2):
        with unfinished(fake.url, file, {}, state) as memory:
            job = client.upload(file, unfinished=memory)
    assert len(fake.jobs) == 1
    del fake.jobs[job["id"]]
    with unfinished(fake.url, file, {}, state) as memory:
        assert client.upload(file, unfinished=memory)["id"] != job["id"]


def test_other_content_or_options_is_another_upload(client: Client, fake: FakeGateway, file: Path) -> None:
    state = file.parent / "state"
    with unfinished(fake.url, file, {}, state) as memory:
        interrupt(client, fake, file, memory)
    with unfinished(fake.url, file, {"language": "de"}, state) as memory:
        assert memory.find() is None
    file.write_bytes(b"other")
    with unfinished(fake.url, file, {}, state) as memory:
        assert memory.find() is None


def test_two_processes_at_once_do_not_share_an_upload(fake: FakeGateway, file: Path) -> None:
    state = file.parent / "state"
    with unfinished(fake.url, file, {}, state) as first, unfinished(fake.url, file, {}, state) as second:
        assert first is not NOT_KEPT
        assert second is NOT_KEPT


def test_a_completion_without_an_answer_is_asked_for(client: Client, fake: FakeGateway, file: Path) -> None:
    fake.uploads.silent = 1
    job = client.upload(file)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert len(fake.jobs) == 1


def test_an_address_elsewhere_gets_no_key(client: Client, fake: FakeGateway, file: Path) -> None:
    with serving() as elsewhere:
        # So says a gateway that the public finds under another name than this client goes by.
        fake.uploads.location = f"{elsewhere.url}/v1/uploads/"
        job = client.upload(file)
        assert elsewhere.requests == []
    assert fake.bodies[job["id"]] == file.read_bytes()


@pytest.mark.parametrize("location", ["", "http://127.0.0.2:1/v1/uploads/../account?", "/v1/uploads/é"])
def test_an_address_without_an_id_is_refused(client: Client, fake: FakeGateway, file: Path, location: str) -> None:
    fake.scripts["POST", "/v1/uploads"].append(Scripted(201, headers={"Location": location}))
    with pytest.raises(ScribewireError, match="which id"):
        client.upload(file)
    assert fake.count("HEAD", "*") == 0


def test_held_for_a_batch_it_becomes_no_job(client: Client, fake: FakeGateway, file: Path) -> None:
    upload_id = client.hold(file)
    assert bytes(fake.uploads.uploads[upload_id].content) == file.read_bytes()
    assert not fake.jobs


def test_a_gateway_that_stays_away_is_told(client: Client, fake: FakeGateway, file: Path) -> None:
    with Client(Gateway(fake.url, "k"), patience=0.3) as hasty:
        fake.uploads.cut_at = [0] * 1000
        with pytest.raises(Unreachable):
            hasty.upload(file)


def test_a_refusal_is_final_and_forgotten(client: Client, fake: FakeGateway, file: Path) -> None:
    fake.scripts["POST", "/v1/uploads"].append(Scripted(413, {"detail": "A file may have at most 5 bytes."}))
    with pytest.raises(Problem, match="at most 5 bytes") as refused:
        client.upload(file)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("change", [b"longer" * SIZE, b"short"])
def test_a_file_that_changes_meanwhile_is_never_taken(
    client: Client, fake: FakeGateway, file: Path, change: bytes
) -> None:
    def write(count: int) -> None:
        file.write_bytes(change)

    for send in (client.submit, client.upload):
        file.write_bytes(bytes(SIZE))
        with pytest.raises(FileChanged):
            send(file, sent=write)
    assert not fake.jobs


@pytest.mark.parametrize("verb", ["submit", "upload"])
def test_the_bytes_of_two_files_of_the_same_size_are_never_joined(
    client: Client, fake: FakeGateway, file: Path, verb: str
) -> None:
    other = file.with_name("other.wav")
    other.write_bytes(bytes(SIZE))

    def swap(count: int) -> None:
        if other.exists():
            other.replace(file)

    fake.uploads.cut_at = [1_000_000]
    if verb == "submit":
        fake.scripts["POST", "/v1/jobs"].append(Scripted(503, {"detail": "Away."}))
    with pytest.raises(FileChanged):
        getattr(client, verb)(file, sent=swap)
    assert not fake.jobs


def test_a_note_of_another_file_of_the_same_size_is_not_gone_on_with(
    client: Client, fake: FakeGateway, file: Path
) -> None:
    with unfinished(fake.url, file, {}, file.parent / "state") as memory:
        interrupt(client, fake, file, memory)
        # After the note was looked up, and before the file is.
        file.write_bytes(bytes(SIZE))
        job = client.upload(file, unfinished=memory)
    assert fake.bodies[job["id"]] == bytes(SIZE)


def test_one_that_was_sent_whole_and_is_gone_is_looked_for_once_more(
    client: Client, fake: FakeGateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "FINISHING", 0.01)
    fake.uploads.silent = 1

    def hide(count: int) -> None:
        if count == SIZE and not fake.jobs:
            fake.scripts["HEAD", f"/v1/uploads/{next(iter(fake.uploads.uploads))}"].append(Scripted(404))

    job = client.upload(file, sent=hide)
    assert list(fake.jobs) == [job["id"]]
    assert (fake.count("POST", "/v1/uploads"), fake.uploads.received) == (1, SIZE)


def test_one_that_was_sent_whole_and_stays_gone_begins_anew(
    client: Client, fake: FakeGateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "FINISHING", 0.01)
    fake.uploads.cut_at = [SIZE]

    def lose(count: int) -> None:
        path = f"/v1/uploads/{next(iter(fake.uploads.uploads))}"
        if count == SIZE and not fake.scripts["HEAD", path]:
            fake.scripts["HEAD", path].extend([Scripted(404)] * 9)

    job = client.upload(file, sent=lose)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert (fake.count("POST", "/v1/uploads"), fake.count("HEAD", "/v1/uploads/*")) == (2, 4)


def interrupt(client: Client, fake: FakeGateway, file: Path, memory) -> None:  # type: ignore[no-untyped-def]
    """Begin an upload and stop it, as Ctrl-C does, once some of it has arrived."""

    def stop(count: int) -> None:
        if count > SIZE // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.upload(file, sent=stop, unfinished=memory)
    assert json.loads(next((file.parent / "state").glob("*.json")).read_text())["size"] == SIZE
    # What was on the way may still arrive.
    upload = next(iter(fake.uploads.uploads.values()))
    until(lambda: len(upload.content) >= SIZE // 4, seconds=10)


def test_a_gateway_that_still_holds_the_cut_request_is_asked_again(
    client: Client, fake: FakeGateway, file: Path
) -> None:
    with unfinished(fake.url, file, {}, file.parent / "state") as memory:
        interrupt(client, fake, file, memory)
        path = f"/v1/uploads/{next(iter(fake.uploads.uploads))}"
        fake.scripts["HEAD", path].append(Scripted(423, {"detail": "Another request is sending."}))
        job = client.upload(file, unfinished=memory)
    assert fake.bodies[job["id"]] == file.read_bytes()
    assert fake.count("POST", "/v1/uploads") == 1

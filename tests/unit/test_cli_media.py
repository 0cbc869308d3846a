"""`scribewire transcribe`, `batch` and `watch` as they are typed: what is written where, and how they end."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from scribewire.commands.priority import Priority, when
from support.command_line import CommandLine
from support.fake_gateway import FakeGateway, Scripted, serving
from support.waiting import until

BIG = 17 << 20


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        yield fake


@pytest.fixture
def scribewire(tmp_path: Path, fake: FakeGateway) -> CommandLine:
    key = fake.people.key()
    return CommandLine(tmp_path / "home", {"SCRIBEWIRE_URL": fake.url, "SCRIBEWIRE_API_KEY": key})


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    file = tmp_path / "talk.wav"
    file.write_bytes(b"some bytes")
    return file


def test_files_and_addresses_are_transcribed_side_by_side(
    fake: FakeGateway, scribewire: CommandLine, talk: Path, tmp_path: Path
) -> None:
    url, out = "https://example.test/%2e%2e/a%2Fb%20c.mp4?secret=1", tmp_path / "out"
    done = scribewire("transcribe", str(talk), url, "-o", str(out), "-f", "srt", "--language", "de", "--diarize")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["b c.mp4.srt", "talk.wav.srt"]
    assert all(job["options"] == {"language": "de", "diarize": True} for job in fake.jobs.values())
    assert "\x1b" not in done.stdout + done.stderr


def test_json_says_what_became_of_each(fake: FakeGateway, scribewire: CommandLine, talk: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"bad")
    fake.fails.add(b"bad")
    done = scribewire("transcribe", str(talk), str(bad), "--json")
    fine, failed = json.loads(done.stdout)
    assert done.returncode == 1
    assert fine["job"]["status"] == "completed"
    assert fine["transcripts"]["txt"].startswith("txt of ")
    assert (failed["source"], failed["error"]) == (str(bad), "The file is not audio.")


def test_audio_is_asked_for_and_fetched(fake: FakeGateway, scribewire: CommandLine, talk: Path, tmp_path: Path) -> None:
    for options in (("--audio-format", "mp3"), ()):
        assert scribewire("transcribe", str(talk), *options).returncode == 0
    with_audio, without = fake.jobs.values()
    assert with_audio["options"] == {"audio_format": "mp3"}
    out = tmp_path / "talk.mp3"
    assert scribewire("jobs", "audio", with_audio["id"], "-o", str(out)).returncode == 0
    assert out.read_bytes() == b"mp3 of some bytes"
    kept = scribewire("jobs", "audio", with_audio["id"], "-o", str(out))
    assert (kept.returncode, "--force replaces it" in kept.stderr) == (2, True)
    refused = scribewire("jobs", "audio", without["id"], "-o", str(tmp_path / "none.mp3"))
    assert (refused.returncode, "No audio was asked for" in refused.stderr) == (1, True)
    assert not (tmp_path / "none.mp3").exists()


def test_an_interrupted_upload_of_a_big_file_goes_on(fake: FakeGateway, scribewire: CommandLine, talk: Path) -> None:
    talk.write_bytes(bytes(BIG))
    fake.uploads.hold_at = BIG // 2
    process = scribewire.start("transcribe", str(talk))
    until(lambda: fake.uploads.received >= BIG // 2, seconds=30)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, "takes up big uploads" in told) == (130, True)
    fake.uploads.hold_at = None
    done = scribewire("transcribe", str(talk))
    assert done.returncode == 0, done.stderr
    assert fake.count("POST", "/v1/uploads") == 1
    assert list(fake.bodies.values()) == [bytes(BIG)]
    # It is done with: the next run is another upload.
    assert not list(scribewire.home.glob("state/scribewire/uploads/*.json"))


def test_without_resume_a_big_file_goes_in_one_request(fake: FakeGateway, scribewire: CommandLine, talk: Path) -> None:
    talk.write_bytes(bytes(BIG))
    assert scribewire("transcribe", str(talk), "--no-resume").returncode == 0
    assert (fake.count("POST", "/v1/uploads"), fake.count("POST", "/v1/jobs")) == (0, 1)


def test_a_gateway_without_resumable_uploads_gets_one_request(
    fake: FakeGateway, scribewire: CommandLine, talk: Path
) -> None:
    talk.write_bytes(bytes(BIG))
    fake.scripts["POST", "/v1/uploads"].append(Scripted(404, {"detail": "Nothing is found at this address."}))
    assert scribewire("transcribe", str(talk)).returncode == 0
    assert list(fake.bodies.values()) == [bytes(BIG)]


def test_sources_that_are_none_are_wrong_use(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    for source in (str(tmp_path / "missing.wav"), str(tmp_path), "http://", "https:///a.mp3"):
        assert scribewire("transcribe", source).returncode == 2
    assert not fake.requests


def test_a_batch_from_submit_to_retry(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    manifest = tmp_path / "many.csv"
    manifest.write_text("url,reference\nhttps://example.test/1,a\nhttps://example.test/broken,b\nhttps://x.test/3,c\n")
    done = scribewire("batch", "submit", str(manifest), "--wait")
    assert done.returncode == 1, done.stderr
    batch_id = done.stdout.splitlines()[0]
    assert json.loads(scribewire("batch", "status", batch_id, "--json").stdout)["failed"] == 1
    items = [json.loads(line) for line in scribewire("batch", "items", batch_id, "--json").stdout.splitlines()]
    assert [item["line"] for item in items] == [1, 2, 3]
    failed = scribewire("batch", "items", batch_id, "--status", "failed").stdout
    assert "The file is not audio." in failed
    assert len(failed.splitlines()) == 1
    assert scribewire("batch", "retry", batch_id, "--wait").returncode == 0


def test_a_manifest_from_standard_input_can_be_strict(fake: FakeGateway, scribewire: CommandLine) -> None:
    lines = '{"url": "https://example.test/1"}\n{"url"\n'
    refused = scribewire("batch", "submit", "-", "--strict", stdin=lines)
    assert (refused.returncode, "line 1: is no item" in refused.stderr) == (2, True)
    done = scribewire("batch", "submit", "-", "--option", "language=de", stdin=lines)
    assert (done.returncode, len(fake.batches)) == (0, 1)
    assert fake.requests[-1][2]["Content-Type"] == "application/x-ndjson"


def test_a_batch_of_what_was_dropped_below_a_name(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    fake.dropped = ["2026/a.wav", "2026/b.wav", "2027/c.wav"]
    done = scribewire("batch", "submit", "--prefix", "2026/", "--option", "language=de", "--wait")
    assert done.returncode == 0, done.stderr
    assert scribewire("batch", "submit", "--prefix", "").returncode == 0
    some, everything = fake.batches.values()
    assert (some["content"].split(), some["options"]) == ([b"2026/a.wav", b"2026/b.wav"], {"language": "de"})
    assert len(everything["items"]) == 3
    manifest = tmp_path / "many.csv"
    manifest.write_text("url\nhttps://example.test/1\n")
    for words in ((), (str(manifest), "--prefix", "a/")):
        refused = scribewire("batch", "submit", *words)
        assert (refused.returncode, "--prefix" in refused.stderr) == (2, True)
    assert len(fake.batches) == 2


def test_a_priority_and_a_deadline_are_said(fake: FakeGateway, scribewire: CommandLine, talk: Path) -> None:
    scribewire.variables["TZ"] = "Asia/Singapore"
    words = ("--priority", "deferred", "--deadline", "2026-12-01T06:00")
    assert scribewire("transcribe", str(talk), *words).returncode == 0
    assert scribewire("transcribe", str(talk), "--bulk").returncode == 0
    deferred, bulk = (job["options"] for job in fake.jobs.values())
    assert deferred == {"priority": "deferred", "deadline": "2026-12-01T06:00:00+08:00"}
    assert bulk == {"priority": "bulk"}
    refused = scribewire("transcribe", str(talk), "--deadline", "2026-12-01T06:00")
    assert (refused.returncode, "--priority deferred" in refused.stderr, len(fake.jobs)) == (2, True, 2)


def test_a_priority_is_said_once_and_a_deadline_is_a_time() -> None:
    named = when(Priority.deferred, bulk=False, deadline="2026-12-01T06:00+01:00")["deadline"]
    assert datetime.fromisoformat(named) == datetime(2026, 12, 1, 5, tzinfo=UTC)
    assert when(None, bulk=False, deadline=None) == {}
    assert when(Priority.bulk, bulk=True, deadline=None) == {"priority": "bulk"}
    for priority, bulk, deadline, reason in (
        (Priority.deferred, True, None, "--bulk is --priority bulk"),
        (None, False, "2026-12-01T06:00", "goes with --priority deferred"),
        (Priority.deferred, False, "tomorrow", "write it as a date and a time"),
        (Priority.deferred, False, "0001-01-01T00:00", "write it as a date and a time"),
    ):
        with pytest.raises(typer.BadParameter, match=reason):
            when(priority, bulk=bulk, deadline=deadline)


def test_a_watch_has_a_priority(fake: FakeGateway, scribewire: CommandLine, talk: Path) -> None:
    fast = ("--settle", "0.1", "--every", "0.05", "--once")
    assert scribewire("watch", str(talk.parent), *fast, "--priority", "deferred").returncode == 0
    assert [job["options"]["priority"] for job in fake.jobs.values()] == ["deferred"]


def test_a_folder_is_watched_once(fake: FakeGateway, scribewire: CommandLine, talk: Path, tmp_path: Path) -> None:
    fast = ("--settle", "0.1", "--every", "0.05", "--once", "--json")
    done = scribewire("watch", str(tmp_path), "--out", str(tmp_path / "out"), "--format", "srt", *fast)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, [event["event"] for event in events]) == (0, ["submitted", "completed"]), done.stderr
    assert (tmp_path / "out" / "talk.wav.srt").is_file()
    assert [job["options"] for job in fake.jobs.values()] == [{"priority": "bulk"}]
    assert scribewire("watch", str(tmp_path), *fast).stdout == ""


def test_a_watch_ends_by_a_signal_and_waits_for_a_gateway(
    fake: FakeGateway, scribewire: CommandLine, talk: Path, tmp_path: Path
) -> None:
    process = scribewire.start("watch", str(tmp_path), "--settle", "0.1", "--every", "0.05")
    until(lambda: fake.jobs, seconds=30)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out.startswith("submitted  talk.wav  ")) == (0, True)
    assert time.monotonic() - began < 10


def test_a_watch_without_access_ends_with_3(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    fake.people.keys.clear()
    assert scribewire("watch", str(tmp_path)).returncode == 3

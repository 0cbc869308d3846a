"""A watched folder: what is whole is submitted, once, whatever stops in between."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from scribewire import Client, Gateway, Problem, submitting
from scribewire.signature import Signature
from scribewire.watching import work
from scribewire.watching.memory import AlreadyWatched, remembering
from scribewire.watching.scan import MEDIA, Settling, scan
from scribewire.watching.watcher import Watcher, Wishes
from scribewire.watching.work import Collect, Submit
from scribewire.watching.writers import being_written
from support.fake_gateway import FakeGateway, Scripted, serving
from support.waiting import until


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        fake.people.key("k")
        yield fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


class Watch:
    """Watches a folder as the command does, with what was said."""

    def __init__(self, fake: FakeGateway, folder: Path, *, out: Path | None = None, recursive: bool = False) -> None:
        self.fake, self.folder, self.out, self.recursive = fake, folder, out, recursive
        self.said: list[tuple[str, str, str]] = []
        self.failed = 0

    def run(self, stop: threading.Event | None = None, *, once: bool = True) -> "Watch":
        def say(kind: str, path: Path, what: str) -> None:
            self.said.append((kind, path.name, what))

        with (
            Client(Gateway(self.fake.url, "k"), patience=1) as client,
            remembering(self.fake.url, self.folder, self.folder.parent / "state") as memory,
        ):
            collect = None
            if self.out is not None:
                collect = Collect(client, memory, folder=self.folder, output=self.out, suffix="srt", say=say)
            wishes = Wishes(self.folder, MEDIA, self.recursive, self.out, settle=0.1, every=0.05)
            watcher = Watcher(wishes, memory, Submit(client, memory, {"language": "en"}, say), collect, say)
            watcher.run(stop or threading.Event(), once=once)
            self.failed = watcher.failed
        return self

    def kinds(self) -> list[str]:
        return sorted(kind for kind, _, _ in self.said)


@pytest.fixture
def watching(fake: FakeGateway, folder: Path) -> Iterator[Callable[[Watch], Watch]]:
    """Starts a watch that goes on until the test ends."""
    stop, threads = threading.Event(), []

    def start(watch: Watch) -> Watch:
        threads.append(threading.Thread(target=watch.run, args=[stop], kwargs={"once": False}))
        threads[-1].start()
        return watch

    yield start
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_each_recording_is_submitted_once_over_restarts(fake: FakeGateway, folder: Path) -> None:
    for name in ("a.wav", "b.MP3", ".hidden.wav", "c.txt", "d.wav.part"):
        (folder / name).write_bytes(name.encode())
    (folder / "empty.ogg").touch()
    watch = Watch(fake, folder).run()
    assert watch.kinds() == ["submitted", "submitted", "waiting"]
    assert watch.said[-1] == ("waiting", "empty.ogg", "it is empty, or still being written")
    (folder / "empty.ogg").unlink()
    (folder / "e.wav").write_bytes(b"e")
    assert [name for _, name, _ in Watch(fake, folder).run().said] == ["e.wav"]
    assert sorted(fake.bodies.values()) == [b"a.wav", b"b.MP3", b"e"]
    assert all((folder / name).exists() for name in ("a.wav", "b.MP3"))


def test_the_same_content_under_another_name_is_the_same_job(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"same")
    Watch(fake, folder).run()
    (folder / "copy.wav").write_bytes(b"same")
    (folder / "a.wav").rename(folder / "moved.wav")
    again = Watch(fake, folder).run()
    assert [(kind, name) for kind, name, _ in again.said] == [("same", "copy.wav")]
    assert len(fake.jobs) == 1


def test_a_submit_whose_answer_nobody_saw_makes_no_second_job(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    Watch(fake, folder).run()
    for state in (folder.parent / "state").glob("*.db"):
        state.unlink()
    Watch(fake, folder).run()
    assert (fake.count("POST", "/v1/jobs"), len(fake.jobs)) == (2, 1)


def test_a_big_file_that_was_not_written_down_in_time_makes_no_second_job(
    fake: FakeGateway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder.parent / "notes"))
    for module in (work, submitting):
        monkeypatch.setattr(module, "BIG", 1)
    file = folder / "a.wav"
    file.write_bytes(b"all of it")
    signature = Signature.of(file.stat())
    said: list[str] = []
    with (
        Client(Gateway(fake.url, "k"), patience=1) as client,
        remembering(fake.url, folder, folder.parent / "state") as memory,
    ):
        submit = Submit(client, memory, {}, lambda kind, path, job: said.append(job))
        with monkeypatch.context() as killed:
            killed.setattr(memory, "keep", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                submit(file, signature)
        assert submit(file, signature)
    assert said == list(fake.jobs)
    assert (fake.count("POST", "/v1/uploads"), fake.uploads.received) == (1, len(b"all of it"))
    assert not list((folder.parent / "notes").rglob("*.json"))


def test_new_content_under_an_old_name_is_submitted(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"one")
    Watch(fake, folder).run()
    (folder / "a.wav").write_bytes(b"another")
    Watch(fake, folder).run()
    assert sorted(fake.bodies.values()) == [b"another", b"one"]


def test_transcripts_are_written_as_the_recordings_lie(fake: FakeGateway, folder: Path, tmp_path: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "a.wav").write_bytes(b"a")
    (folder / "b.wav").write_bytes(b"b")
    out = folder / "out"
    out.mkdir()
    (out / "not-this.wav").write_bytes(b"no")
    watch = Watch(fake, folder, out=out, recursive=True).run()
    assert (out / "deep" / "er" / "a.wav.srt").read_text().startswith("srt of ")
    assert (out / "b.wav.srt").is_file()
    assert watch.kinds() == ["completed", "completed", "submitted", "submitted"]
    assert len(fake.jobs) == 2


def test_a_job_that_was_running_at_a_stop_is_written_by_the_next(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    Watch(fake, folder).run()
    out = folder.parent / "out"
    assert Watch(fake, folder, out=out).run().kinds() == ["completed"]
    assert (out / "a.wav.srt").is_file()
    assert Watch(fake, folder, out=out).run().said == []


def test_failed_and_refused_ones_are_told_and_not_tried_again(fake: FakeGateway, folder: Path, tmp_path: Path) -> None:
    fake.fails.add(b"bad")
    (folder / "bad.wav").write_bytes(b"bad")
    watch = Watch(fake, folder, out=tmp_path / "out").run()
    assert (watch.failed, watch.said[-1]) == (1, ("failed", "bad.wav", "The file is not audio."))
    fake.scripts["POST", "/v1/jobs"].append(Scripted(415, {"detail": "Not this."}))
    (folder / "worse.wav").write_bytes(b"worse")
    watch = Watch(fake, folder).run()
    assert (watch.failed, watch.said) == (1, [("refused", "worse.wav", "Not this.")])
    assert Watch(fake, folder).run().said == []


def touch(file: Path) -> None:
    """Give a file a time of change that it never had."""
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize("collected", [True, False])
def test_what_failed_is_transcribed_again_when_it_is_touched(
    fake: FakeGateway, folder: Path, tmp_path: Path, *, collected: bool
) -> None:
    out = tmp_path / "out" if collected else None
    fake.fails.add(b"bad")
    (folder / "bad.wav").write_bytes(b"bad")
    Watch(fake, folder, out=out).run()
    fake.fails.clear()
    touch(folder / "bad.wav")
    watch = Watch(fake, folder, out=out).run()
    assert (watch.failed, watch.kinds()) == (0, ["completed", "submitted"] if collected else ["submitted"])
    assert [job["status"] for job in fake.jobs.values()] == ["failed", "completed"]
    # What has a job that is fine keeps it.
    touch(folder / "bad.wav")
    assert Watch(fake, folder, out=out).run().kinds() == (["completed", "same"] if collected else ["same"])
    assert len(fake.jobs) == 2


def test_what_was_deleted_is_transcribed_again_when_it_is_touched(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    Watch(fake, folder).run()
    for _ in range(3):
        with Client(Gateway(fake.url, "k")) as client:
            client.delete(next(iter(fake.jobs)))
        touch(folder / "a.wav")
        assert Watch(fake, folder).run().kinds() == ["submitted"]
        assert list(fake.bodies.values()) == [b"a"]
    # Also by who remembers nothing: it passes by those that were deleted, and finds the one that is there.
    for state in (folder.parent / "state").glob("*.db"):
        state.unlink()
    before = fake.count("POST", "/v1/jobs")
    watch = Watch(fake, folder).run()
    assert watch.said == [("submitted", "a.wav", next(iter(fake.jobs)))]
    assert (len(fake.jobs), fake.count("POST", "/v1/jobs") - before) == (1, 4)


def test_a_key_that_may_only_submit_trusts_what_is_remembered(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    Watch(fake, folder).run()
    job = next(iter(fake.jobs))
    fake.scripts["GET", f"/v1/jobs/{job}"].append(Scripted(403, {"detail": "The key may not read jobs."}))
    touch(folder / "a.wav")
    assert Watch(fake, folder).run().said == [("same", "a.wav", job)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_a_file_that_is_open_for_writing_is_left_alone(
    fake: FakeGateway, folder: Path, watching: Callable[[Watch], Watch]
) -> None:
    with (folder / "a.wav").open("wb") as recorder:
        recorder.write(b"first half, ")
        recorder.flush()
        watch = Watch(fake, folder).run()
        reason = "a program has the file open and may still be writing to it"
        assert (watch.failed, watch.said[0]) == (1, ("waiting", "a.wav", reason))
        watching(Watch(fake, folder))
        (folder / "b.wav").write_bytes(b"nobody writes to this")
        until(lambda: fake.jobs, seconds=20)
        recorder.write(b"second half")
    until(lambda: len(fake.jobs) == 2, seconds=20)
    assert sorted(fake.bodies.values()) == [b"first half, second half", b"nobody writes to this"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")
def test_whether_a_file_is_open_for_writing_disturbs_nobody(folder: Path) -> None:
    file = folder / "a.wav"
    file.write_bytes(b"a")
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            with file.open("ab"):
                pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # A writer that comes while we look breaks our lease, which would end this process if it were told by SIGIO.
        seen = {being_written(file) for _ in range(2000)}
    finally:
        ended.set()
        writer.join()
    assert seen == {True, False}
    with file.open("rb"):
        assert not being_written(file)


def test_one_that_cannot_be_read_is_told_once_and_keeps_nobody_waiting(fake: FakeGateway, folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    (folder / "gone.wav").symlink_to(folder / "nowhere")
    locked = folder / "locked.wav"
    locked.write_bytes(b"locked")
    real = Path.open

    def refuse(self: Path, *words: object, **named: object) -> object:
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *words, **named)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        watch = Watch(fake, folder).run()
    assert watch.failed == 1
    assert [said for said in watch.said if said[0] == "waiting"] == [("waiting", "locked.wav", "permission denied")]
    assert list(fake.bodies.values()) == [b"a"]
    assert [name for _, name, _ in Watch(fake, folder).run().said] == ["locked.wav"]


def test_a_gateway_that_asks_to_wait_is_not_pressed(
    fake: FakeGateway, folder: Path, watching: Callable[[Watch], Watch]
) -> None:
    fake.scripts["POST", "/v1/jobs"].append(Scripted(429, {"detail": "50 jobs an hour."}, {"Retry-After": "2"}))
    watch = watching(Watch(fake, folder))
    (folder / "a.wav").write_bytes(b"a")
    until(lambda: watch.said, seconds=20)
    assert watch.said == [("waiting", "a.wav", "50 jobs an hour.")]
    (folder / "b.wav").write_bytes(b"b")
    until(lambda: len(fake.jobs) == 2, seconds=20)
    assert fake.count("POST", "/v1/jobs") == 3


def test_what_appears_while_watching_is_taken(
    fake: FakeGateway, folder: Path, watching: Callable[[Watch], Watch]
) -> None:
    watching(Watch(fake, folder))
    for n in range(5):
        (folder / f"{n}.wav").write_bytes(bytes([n + 1]))
        until(lambda n=n: len(fake.jobs) == n + 1, seconds=20)  # type: ignore[misc]


def test_no_access_ends_it(fake: FakeGateway, folder: Path) -> None:
    fake.people.keys.clear()
    (folder / "a.wav").write_bytes(b"a")
    with pytest.raises(Problem) as refused:
        Watch(fake, folder).run(once=False)
    assert refused.value.exit_code == 3


def test_a_folder_has_one_watcher(fake: FakeGateway, folder: Path) -> None:
    state = folder.parent / "state"
    with (
        remembering(fake.url, folder, state),
        pytest.raises(AlreadyWatched),
        remembering(fake.url, folder, state),
    ):
        pass


def test_a_file_is_whole_when_it_stopped_changing() -> None:
    settling, path = Settling(3.0), Path("a.wav")
    grown = [Signature(1, 2, size, 0) for size in (0, 5, 9, 9)]
    assert [settling.ready({path: grown[0]}, at) for at in (0, 5)] == [[], []]
    assert settling.ready({path: grown[1]}, 6) == []
    assert settling.ready({path: grown[2]}, 8) == []
    assert settling.ready({path: grown[3]}, 10.9) == []
    assert settling.ready({path: grown[3]}, 11) == [path]
    settling.anew(path)
    assert settling.ready({path: grown[3]}, 12) == []
    # Gone and there again is another file.
    settling.ready({}, 13)
    assert settling.ready({path: grown[3]}, 15) == []


def test_a_link_that_leads_back_is_not_followed(folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"a")
    (folder / "loop").symlink_to(folder)
    found = list(scan(folder, MEDIA, recursive=True, without=None, unreadable=pytest.fail))
    assert [path.name for path, _ in found] == ["a.wav"]


def test_a_folder_that_is_away_is_told(folder: Path) -> None:
    told: list[OSError] = []
    assert list(scan(folder / "gone", MEDIA, recursive=True, without=None, unreadable=told.append)) == []
    assert isinstance(told[0], FileNotFoundError)

"""The command line when something is wrong: what it says, how it ends, and that it never shows a traceback."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from scribewire.errors import Problem
from scribewire.output import reason, whole
from support.command_line import CommandLine
from support.fake_gateway import FakeGateway, Scripted, serving
from support.waiting import until

ALL_USED = {"detail": "50 jobs an hour are allowed; see Retry-After."}


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        yield fake


@pytest.fixture
def scribewire(tmp_path: Path, fake: FakeGateway) -> CommandLine:
    key = fake.people.key()
    return CommandLine(tmp_path / "home", {"SCRIBEWIRE_URL": fake.url, "SCRIBEWIRE_API_KEY": key, "COLUMNS": "200"})


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a run wrote to standard error, whatever the width of the terminal."""
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_limit_says_when_to_come_again(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    talk = tmp_path / "talk.wav"
    talk.write_bytes(b"a")
    fake.scripts["GET", "/v1/jobs"].append(Scripted(429, ALL_USED, {"Retry-After": "3000"}))
    fake.scripts["POST", "/v1/jobs"].append(Scripted(429, ALL_USED, {"Retry-After": "200000"}))
    listed, sent = scribewire("jobs"), scribewire("transcribe", str(talk))
    assert (listed.returncode, sent.returncode) == (1, 1)
    assert "see Retry-After. Try again in 50 minutes." in told(listed)
    assert "Try again in 3 days." in told(sent)


@pytest.mark.parametrize(
    ("wait", "says"), [(None, "No."), (99.5, "No. Try again in 100 s."), (7201.0, "No. Try again in 3 hours.")]
)
def test_a_wait_is_told_in_the_unit_that_fits(wait: float | None, says: str) -> None:
    assert reason(Problem(503, {"detail": "No."}, wait)) == says


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("wrong", "set another SCRIBEWIRE_API_KEY"),
        ("k\u00e9y", "was something else copied?"),
        ("a\nb", "was something else copied?"),
    ],
)
def test_a_key_that_is_none_is_no_access(fake: FakeGateway, scribewire: CommandLine, key: str, says: str) -> None:
    scribewire.variables["SCRIBEWIRE_API_KEY"] = key
    done = scribewire("jobs")
    assert (done.returncode, says in told(done)) == (3, True), done.stderr
    assert key not in done.stderr


def test_a_key_is_taken_without_the_line_break_that_was_copied_with_it(scribewire: CommandLine) -> None:
    scribewire.variables["SCRIBEWIRE_API_KEY"] += "\r\n"
    assert scribewire("jobs").returncode == 0


def test_an_address_that_is_none_is_told_without_its_password(scribewire: CommandLine) -> None:
    scribewire.variables["SCRIBEWIRE_URL"] = "https://ann:hunter2@scribewire.example"
    for words in (("jobs",), ("login", "--url", "http://x:hunter2@[::1")):
        done = scribewire(*words)
        assert done.returncode in {2, 3}
        assert "has neither a user nor a password in it" in told(done)
        assert "hunter2" not in done.stderr + done.stdout


def test_a_page_that_is_no_gateway_is_told(fake: FakeGateway, scribewire: CommandLine) -> None:
    fake.scripts["GET", "/v1/jobs"].append(Scripted(200, "<html>a page</html>"))
    done = scribewire("jobs")
    assert (done.returncode, "is not a Scribewire gateway" in told(done)) == (1, True)


def test_a_place_where_nothing_can_be_written_is_wrong_use(
    fake: FakeGateway, scribewire: CommandLine, tmp_path: Path
) -> None:
    talk = tmp_path / "talk.wav"
    talk.write_bytes(b"a")
    for words in (
        ("transcribe", str(talk), "-o", str(talk)),
        ("account", "export", "-o", str(tmp_path / "nowhere" / "mine.zip")),
    ):
        done = scribewire(*words)
        assert (done.returncode, "Errno" in told(done)) == (2, False), done.stderr
    assert not fake.requests
    with pytest.raises(typer.BadParameter, match="is a folder"), whole(tmp_path, force=True):
        pass


def test_the_version_is_shown(scribewire: CommandLine) -> None:
    done = scribewire("--version")
    assert (done.returncode, done.stdout.startswith("scribewire ")) == (0, True)
    assert "Speech in, text out".lower() in scribewire("--help").stdout.lower()


def test_nobody_who_reads_is_no_traceback(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    talk = tmp_path / "talk.wav"
    talk.write_bytes(b"a")
    assert scribewire("transcribe", str(talk)).returncode == 0
    process = scribewire.start("jobs", "get", next(iter(fake.jobs)))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 1


def test_ctrl_c_ends_a_watch_that_has_not_reached_its_gateway(
    fake: FakeGateway, scribewire: CommandLine, tmp_path: Path
) -> None:
    fake.scripts["GET", "/v1/jobs"].append(Scripted(429, ALL_USED, {"Retry-After": "50"}))
    process = scribewire.start("watch", str(tmp_path))
    until(lambda: fake.count("GET", "/v1/jobs"), seconds=30)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in stderr) == (130, False)

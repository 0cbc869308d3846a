"""One child program: started with its own log, told apart by start time, ended for certain."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 4_000
_LOG_BYTES = 32 << 20


class PartFailed(RuntimeError):  # noqa: N818 - said of a part, read by people
    """A part did not start; the text says why and ends with the last lines of its log."""


class ChildProcess:
    """A program that runs beside us, with its output appended to a log file.

    Parameters
    ----------
    name
        What people call it, in messages.
    log
        File its standard output and error are appended to.
    die_with_parent
        Signal the kernel sends it when the thread that started it is gone, so that an interrupted test run
        leaves nothing behind; None lets it live on.
    """

    def __init__(self, name: str, log: Path, *, die_with_parent: signal.Signals | None = None) -> None:
        self.name = name
        self.log = log
        self._die_with_parent = die_with_parent
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    @property
    def returncode(self) -> int | None:
        """Exit status once it ended (negative: the signal), else None."""
        return None if self._popen is None else self._popen.poll()

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        """Start the program in its own session, without standard input; `user` and `group` drop root's rights."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                user=user,
                group=group,
                extra_groups=[] if user is not None else None,
                start_new_session=True,
                preexec_fn=_death_signal(self._die_with_parent),  # noqa: PLW1509 - one system call, tests only
            )

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it ends; its exit status, or None when `timeout` seconds passed first."""
        if self._popen is None:
            return None
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return when `ready()` says so.

        Raises
        ------
        PartFailed
            It ended, or was not ready after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self.returncode is not None:
                msg = f"{self.name} ended with status {self.returncode} while starting\n{self.log_tail()}"
                raise PartFailed(msg)
            if time.monotonic() > deadline:
                msg = f"{self.name} was not ready after {timeout:.0f} s\n{self.log_tail()}"
                raise PartFailed(msg)
            time.sleep(0.05)

    def stop(self, first: signal.Signals = signal.SIGTERM, grace: float = 15.0) -> None:
        """Ask it to end with `first`; after `grace` seconds kill its whole session. Nothing of it runs afterwards."""
        if self._popen is None:
            return
        if self._popen.poll() is None:
            self._popen.send_signal(first)
            self.wait(grace)
        _kill_session(self._popen.pid)
        self._popen.wait()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

    def log_tail(self) -> str:
        """Return the last lines of the log and where it is."""
        try:
            text = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            text = ""
        return f"{text.strip()}\n(log: {self.log})"


def start_time(pid: int) -> float | None:
    """Return when the process was started (seconds since the epoch), or None when there is no such process."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def is_same(pid: int, started: float) -> bool:
    """Whether `pid` is still the process that started at `started`, and not another that got its number."""
    now = start_time(pid)
    return now is not None and abs(now - started) < 0.5


def _kill_session(pid: int) -> None:
    # Every child leads its own session and group, so the group is it and what it left behind.
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _death_signal(wanted: signal.Signals | None) -> Callable[[], None] | None:
    if wanted is None or not hasattr(ctypes, "CDLL") or os.uname().sysname != "Linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, int(wanted))

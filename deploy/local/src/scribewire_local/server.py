"""What Kafka and PostgreSQL have in common as programs beside us."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from scribewire_local.process import ChildProcess

_START_SECONDS = 60.0


class Server(ABC):
    """A server program that is started, found ready, and ended; also a context manager that does just that.

    Parameters
    ----------
    title
        What people call it, in messages.
    log
        Its log file.
    death_signal
        For tests: what the kernel sends it when the thread that started it is gone.
    """

    def __init__(self, title: str, log: Path, *, death_signal: signal.Signals | None) -> None:
        self.log = log
        self._process = ChildProcess(title, log, die_with_parent=death_signal)

    @abstractmethod
    def spawn(self) -> None:
        """Start it and return at once."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it does its work."""

    @abstractmethod
    def stop(self) -> None:
        """End it; nothing of it runs afterwards."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start and return when it answers; the first time its folder is prepared.

        Raises
        ------
        RuntimeError
            Its programs are missing, or it ended or did not answer within a minute; it does not run then.
        """
        self.spawn()
        try:
            self._process.wait_ready(self.ready, _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it ends; None when `timeout` seconds passed first."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would."""
        self._process.kill()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

"""Tiny parts for tests of the supervisor: real processes that do nothing."""

import sys
from pathlib import Path

from scribewire_local.marks import marks
from scribewire_local.ports import free_port
from scribewire_local.process import ChildProcess


class DummyPart:
    """A process that sleeps, or one that ends at once when `code` says so.

    Parameters
    ----------
    home
        The home it is marked with.
    name
        Its name.
    code
        What Python runs.
    """

    def __init__(self, home: Path, name: str = "dummy", code: str = "import time; time.sleep(600)") -> None:
        self.name = name
        self.port = free_port()
        self.log = home / "logs" / f"{name}.log"
        self.spawned = 0
        self._home = home
        self._code = code
        self._process = ChildProcess(name, self.log)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid

    def spawn(self) -> None:
        """Start it."""
        self.spawned += 1
        self._process.start([sys.executable, "-c", self._code], env=marks(self._home, self.name))

    def ready(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        return self._process.wait(timeout)

    def stop(self) -> None:
        """End it."""
        self._process.stop(grace=5.0)

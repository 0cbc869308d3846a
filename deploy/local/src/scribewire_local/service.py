"""One of our own services as a process beside us."""

import http.client
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from scribewire_local.ports import HOST
from scribewire_local.process import ChildProcess

_DRAIN_SECONDS = 30.0


class Service:
    """`python -m MODULE`, ready when its `/readyz` says so.

    Parameters
    ----------
    name
        What people call it; a second process of a service is `transcriber-2`.
    module
        What Python runs.
    port
        Where its `/readyz` answers.
    environment
        The whole environment it gets.
    log
        Log file.
    death_signal
        For tests: what the kernel sends it when the thread that started it is gone.
    """

    def __init__(
        self,
        name: str,
        *,
        module: str,
        port: int,
        environment: Mapping[str, str],
        log: Path,
        death_signal: signal.Signals | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self.log = log
        self._module = module
        self._environment = environment
        self._process = ChildProcess(name, log, die_with_parent=death_signal)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid

    def spawn(self) -> None:
        """Start it and return at once."""
        self._process.start([sys.executable, "-m", self._module], env=self._environment)

    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=3.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it ends; its exit status, or None when `timeout` seconds passed first."""
        return self._process.wait(timeout)

    def stop(self) -> None:
        """Let it finish what it works on and leave; kill it if that takes more than 30 s."""
        self._process.stop(grace=_DRAIN_SECONDS)

"""Keeps one part running: starts it, watches it, starts it again with back-off when it dies."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scribewire_local.process import start_time
from scribewire_local.state import PartState, PartStatus


class Part(Protocol):
    """A program to keep running. No method is called by two threads at once."""

    name: str
    port: int
    log: Path

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    def spawn(self) -> None:
        """Start it; may block for its own preparations, raises RuntimeError or OSError when that fails."""

    def ready(self) -> bool:
        """Whether it does its work; asked several times a second until it says yes."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end at most `timeout` seconds; the exit status, or None while it runs."""

    def stop(self) -> None:
        """End it; nothing of it runs afterwards."""


@dataclass(frozen=True)
class Backoff:
    """Seconds between a part's end and its next start: doubling, and forgotten after a healthy while."""

    first: float = 0.5
    longest: float = 30.0
    healthy: float = 60.0

    def pause(self, failures: int) -> float:
        """Return the pause after so many ends in a row (1 is the first)."""
        return float(min(self.longest, self.first * 2.0 ** min(failures - 1, 16)))


class Keeper:
    """Keeps `part` running, from a thread of its own, until told to stop.

    Parameters
    ----------
    part
        What to keep running.
    changed
        Called, from this thread, after every change of pid or state.
    backoff
        How long to wait between starts.
    """

    def __init__(self, part: Part, *, changed: Callable[[], None], backoff: Backoff | None = None) -> None:
        self.part = part
        self.was_ready = threading.Event()
        self.failures = 0
        self.last_words = ""
        self._changed = changed
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._state: PartState = "starting"
        self._seconds: float | None = None
        self._started: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"keeper-{part.name}", daemon=True)

    def start(self) -> None:
        """Begin; the part comes up in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end the part; `join` to wait for that."""
        self._stopping.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the part was ended, if it was begun at all."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def status(self) -> PartStatus:
        """Return how the part is now."""
        pid = self.part.pid
        return PartStatus(
            name=self.part.name,
            port=self.part.port,
            log=str(self.part.log),
            pid=pid,
            state=self._state,
            started=self._started if pid is not None else None,
            seconds=self._seconds,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._live_once(began)
            except Exception as error:
                # Whatever it is: with this thread gone, nobody would start the part again.
                self.last_words = str(error) or type(error).__name__
                self.part.stop()
            if self._stopping.is_set():
                break
            if time.monotonic() - began > self._backoff.healthy:
                self.failures = 0
            self.failures += 1
            self._become("restarting")
            self._stopping.wait(self._backoff.pause(self.failures))
        self.part.stop()
        self._become("stopped")

    def _live_once(self, began: float) -> None:
        self.part.spawn()
        pid = self.part.pid
        self._started = start_time(pid) if pid is not None else None
        self._changed()
        status = None
        while status is None and not self._stopping.is_set():
            if self._state != "running" and self.part.ready():
                self._seconds = round(time.monotonic() - began, 2)
                self._become("running")
                self.was_ready.set()
            status = self.part.wait(0.2)
        if status is not None:
            self.last_words = f"{self.part.name} ended with status {status}"

    def _become(self, state: PartState) -> None:
        self._state = state
        self._changed()

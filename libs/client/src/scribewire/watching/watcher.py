"""Watches a folder: looks at it again and again, and sees to it that each file is worked on once at a time."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scribewire.errors import FileChanged, LoggedOut, Problem, ScribewireError
from scribewire.signature import Signature
from scribewire.watching.memory import Memory
from scribewire.watching.scan import Settling, scan
from scribewire.watching.work import Collect, Say, Submit

AT_ONCE = 4
LOOKS = 20
"""Jobs that are looked at in one round."""

TRY_AGAIN = 15.0
"""Seconds after which a file that could not be read is tried again, and a gateway that was away."""


@dataclass(frozen=True)
class Wishes:
    """What to watch, and how: seconds without a change before a file is taken, seconds between two looks."""

    folder: Path
    patterns: Sequence[str]
    recursive: bool
    without: Path | None
    settle: float
    every: float


class Watcher:
    """Watches one folder until it is told to stop, or ``once`` until all that is there is done.

    Parameters
    ----------
    collect
        Writes transcripts; None submits only.
    """

    def __init__(self, wishes: Wishes, memory: Memory, submit: Submit, collect: Collect | None, say: Say) -> None:
        self._wishes = wishes
        self._memory = memory
        self._submit = submit
        self._collect = collect
        self._say = say
        self._settling = Settling(wishes.settle)
        self._busy: dict[Path, Future[bool]] = {}
        self._not_before: dict[Path, float] = {}
        self._quiet_until = 0.0
        self._said: dict[Path, str] = {}
        self.failed = 0
        """Files that were refused or could not be read, and jobs without a transcript."""

    def run(self, stop: threading.Event, *, once: bool) -> None:
        """Watch.

        Raises
        ------
        Problem
            When the gateway does not let us in, and `LoggedOut`; with ``once`` also when it is away.
        """
        deadline = time.monotonic() + 10 * max(self._wishes.settle, self._wishes.every)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                while not stop.is_set():
                    waiting = self._look(pool)
                    if once and not self._busy and not (self._collect and self._memory.any_open()):
                        if not waiting:
                            break
                        if time.monotonic() > deadline or all(path in self._not_before for path in waiting):
                            self._give_up(waiting)
                            break
                    stop.wait(self._wishes.every)
                    self._settle(once=once)
            finally:
                # What is on its way is awaited and remembered: stopping costs no upload.
                pool.shutdown(wait=True, cancel_futures=True)
        self._settle(once=once)

    def _look(self, pool: ThreadPoolExecutor) -> dict[Path, Signature]:
        """Begin what can be begun; the files that are not submitted yet."""
        wishes, now = self._wishes, time.monotonic()
        looked = scan(
            wishes.folder,
            wishes.patterns,
            recursive=wishes.recursive,
            without=wishes.without,
            unreadable=lambda error: self._tell(Path(error.filename or wishes.folder), _reason(error)),
        )
        fresh = {path: signature for path, signature in looked if not self._memory.knows(signature)}
        if now < self._quiet_until:
            return fresh
        for path in self._settling.ready(fresh, now):
            if now >= self._not_before.get(path, 0.0):
                self._begin(pool, path, self._submit, path, fresh[path])
        if self._collect is not None:
            for entry in self._memory.open(LOOKS):
                self._begin(pool, entry.path, self._collect, entry)
        return fresh

    def _give_up(self, waiting: Iterable[Path]) -> None:
        for path in waiting:
            self.failed += 1
            if path not in self._not_before:
                self._say("waiting", path, "it is empty, or still being written")

    def _begin(self, pool: ThreadPoolExecutor, path: Path, work: Callable[..., bool], *arguments: Any) -> None:
        if path not in self._busy:
            self._busy[path] = pool.submit(work, *arguments)

    def _settle(self, *, once: bool) -> None:
        """See what became of what was begun."""
        for path, future in [(path, future) for path, future in self._busy.items() if future.done()]:
            del self._busy[path]
            if future.cancelled():
                continue
            try:
                fine = future.result()
            except FileChanged as error:
                self._settling.anew(path)
                self._tell(path, str(error))
            except OSError as error:
                self._not_before[path] = time.monotonic() + TRY_AGAIN
                self._tell(path, _reason(error))
            except LoggedOut:
                raise
            except ScribewireError as error:
                if once or (isinstance(error, Problem) and error.status in {401, 403}):
                    raise
                asked = error.retry_after if isinstance(error, Problem) else None
                self._quiet_until = time.monotonic() + (asked or TRY_AGAIN)
                self._tell(path, str(error))
            else:
                self.failed += not fine
                self._not_before.pop(path, None)
                self._said.pop(path, None)

    def _tell(self, path: Path, reason: str) -> None:
        """Say once why a file waits, not with every look."""
        if self._said.get(path) != reason:
            self._said[path] = reason
            self._say("waiting", path, reason)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

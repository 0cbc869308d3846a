"""Uploads that were begun: remembered in the user's folder of state, so that another run goes on with them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from scribewire.folders import private, state_folder, write_private
from scribewire.signature import Signature

OLDEST = 7 * 24 * 3600.0
"""Seconds after which an upload that was begun is forgotten here; the gateway forgets it sooner."""


@dataclass(frozen=True)
class Remembered:
    """An upload that was begun: its path at the gateway, how many bytes of which file, the job it became.

    ``signature`` is the `scribewire.signature.Signature` of the file as a text.
    """

    path: str
    size: int
    signature: str
    job: str = ""


class Unfinished(Protocol):
    """Remembers one upload."""

    def find(self) -> Remembered | None:
        """What is remembered."""
        ...

    def keep(self, upload: Remembered) -> None:
        """Remember it."""
        ...

    def forget(self) -> None:
        """It is of no use any more."""
        ...


class _NotKept:
    def find(self) -> Remembered | None:
        return None

    def keep(self, upload: Remembered) -> None:
        """No."""

    def forget(self) -> None:
        """Nothing is there."""


NOT_KEPT: Unfinished = _NotKept()
"""Remembers nothing."""


class Kept:
    """One upload in the user's folder of state."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self) -> Remembered | None:
        """What is remembered, unless it is too old or unreadable."""
        try:
            if self._file.stat().st_mtime < time.time() - OLDEST:
                return None
            return Remembered(**json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, upload: Remembered) -> None:
        """Write it down."""
        write_private(self._file, json.dumps(asdict(upload)))

    def forget(self) -> None:
        """Remove it."""
        self._file.unlink(missing_ok=True)


@contextmanager
def unfinished(
    gateway: str, file: Path, options: Mapping[str, Any], folder: Path | None = None
) -> Iterator[Unfinished]:
    """The memory of uploading a file, as it is now, with these options, to a gateway.

    A second process with the same file and options at the same time remembers nothing, so that each has its own upload.
    """
    folder = private(folder or state_folder() / "uploads")
    _sweep(folder)
    named = [gateway, str(file.resolve()), str(Signature.of(file.stat())), dict(options)]
    name = sha256(json.dumps(named, sort_keys=True).encode(errors="replace")).hexdigest()
    lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield NOT_KEPT
        return
    try:
        yield Kept(folder / f"{name}.json")
    finally:
        lock.release()


def _sweep(folder: Path) -> None:
    for old in folder.iterdir():
        try:
            if old.stat().st_mtime < time.time() - OLDEST:
                old.unlink()
        except OSError:
            # Another process was first, or holds it.
            continue

"""Bytes that wait beside the store until their checksum is known: a file without a name, while there is room for it."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO

from common.blobs.threads import in_thread
from gateway.problems import Problem, unavailable

SPARED = 256 * 1024 * 1024
"""Bytes of the disk that are left to others, and of a small one a twentieth: these files do not fill it."""

_LOOK_EVERY = 64 * 1024 * 1024
_READ = 512 * 1024


class Spool:
    """A file that is written once and then read; it is gone when it is closed, or when the process dies."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unlooked = 0

    def write(self, piece: bytes) -> None:
        """Add bytes; a 503 problem when there is no room for them. In a thread, for it waits for the disk."""
        self._unlooked += len(piece)
        if self._unlooked >= _LOOK_EVERY:
            self._unlooked = 0
            check_room(0)
        self._file.write(piece)

    async def read(self) -> AsyncIterator[bytes]:
        """All the bytes, from the first on."""
        await in_thread(self._file.seek, 0)
        while block := await in_thread(self._file.read, _READ):
            yield block


@contextmanager
def spool(expected: int | None) -> Iterator[Spool]:
    """A spool for the length of the block; a 503 problem when there is no room.

    Parameters
    ----------
    expected
        Bytes that will come, None where that is not known: what has no room is refused before it is sent.
    """
    try:
        check_room(expected or 0)
        with tempfile.TemporaryFile() as file:
            yield Spool(file)
    except (ConnectionError, TimeoutError):  # the client's, which are of the same family
        raise
    except OSError:
        raise _no_room() from None


def check_room(size: int) -> None:
    """Raise a 503 problem unless so many bytes more leave enough of the disk to others."""
    disk = shutil.disk_usage(tempfile.gettempdir())
    if disk.free < size + min(SPARED, disk.total // 20):
        raise _no_room()


def _no_room() -> Problem:
    return unavailable(
        "There is no room to hold so many bytes until their checksum is known; try again, or send smaller requests."
    )

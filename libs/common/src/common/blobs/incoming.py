"""A file on its way into the blob folder: written beside, on the disk for good, then linked to its name."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MOST_PIECES = 256
"""Pieces written at once; Linux takes 1,024."""

_ATTEMPTS = 100


class IncomingFile:
    """One temporary file; every method blocks and raises `OSError`.

    Parameters
    ----------
    root
        The blob folder; it must exist.
    path
        Where the bytes lie until they are linked, in a folder of its own directly below the root.
    """

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._file = -1

    def open(self) -> None:
        """Make the file, and the folder it lies in."""
        with suppress(FileExistsError):
            self._path.parent.mkdir(mode=0o700)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write all of the bytes at the end, without joining them first; `MOST_PIECES` pieces at most."""
        left = [memoryview(piece) for piece in pieces]
        while left:
            written = os.writev(self._file, left)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = left[0][written:]

    def link(self, final: Path) -> bool:
        """Flush the bytes to the disk and give them their name, unless it is taken.

        Raises
        ------
        ValueError
            Another blob has the name of one of its folders.
        """
        os.fsync(self._file)
        for _ in range(_ATTEMPTS):
            try:
                os.link(self._path, final)
            except FileExistsError:
                return False
            except NotADirectoryError:
                msg = "a blob's name cannot go on after another blob's name"
                raise ValueError(msg) from None
            except FileNotFoundError:
                # Somebody may remove the folder again, with the last blob in it, before the link is made.
                self._root.stat()
                with suppress(FileNotFoundError):
                    make_folder(final.parent)
            else:
                sync_folder(final.parent)
                return True
        raise FileNotFoundError(final)

    def discard(self) -> None:
        """Close the file and forget its temporary name; harmless when it was never opened."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            with suppress(OSError):  # what cannot be removed now is swept later
                self._path.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk; harmless when it is gone."""
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each flushed to the disk."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folder(folder.parent)
        with suppress(FileExistsError):  # somebody else made it meanwhile
            folder.mkdir(mode=0o700)
    sync_folder(folder.parent)

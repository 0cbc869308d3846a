"""A file that grows over many requests and processes until it becomes a blob: one writer at a time, nothing is lost."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from common.blobs import BlobBusy
from common.blobs.incoming import IncomingFile, make_folder, sync_folder

_ATTEMPTS = 100


class GrowingFile(IncomingFile):
    """One growing file; every method blocks and raises `OSError`.

    The lock on it ends with its process, however that ends, so what a killed process gathered goes on at once.

    Parameters
    ----------
    root
        The blob folder; it must exist.
    path
        Where the bytes lie until they are linked to the blob's name.
    """

    def acquire(self) -> int:
        """Open the file, made when it is missing, and keep every other writer away; return its size in bytes.

        Raises
        ------
        BlobBusy
            Somebody else is writing.
        """
        for _ in range(_ATTEMPTS):
            self._root.stat()
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                # Somebody may remove the folder again, with the last file in it, before ours is made.
                with suppress(FileNotFoundError):
                    make_folder(self._path.parent)
                continue
            self._file = file
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise BlobBusy from None
            if self.in_place():
                size = os.fstat(file).st_size
                if size == 0:
                    sync_folder(self._path.parent)
                return size
            self.close()
        raise FileNotFoundError(self._path)

    def in_place(self) -> bool:
        """Whether the file that is open still lies where it was: it may have become the blob, or been removed."""
        mine = os.fstat(self._file)
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino, found.st_nlink) == (mine.st_dev, mine.st_ino, 1)

    def sync(self) -> int:
        """Flush the bytes to the disk; return how many there are."""
        os.fsync(self._file)
        return os.fstat(self._file).st_size

    def become(self, final: Path) -> bool:
        """Give the bytes the blob's name, unless it is taken, and no other may add to them."""
        linked = self.link(final)
        if linked:  # not before, for a file that is still growing must stay writable when the link fails
            os.fchmod(self._file, 0o400)
        return linked

    def forget(self) -> None:
        """Remove the file from where it grew; the blob it became stays."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def close(self) -> None:
        """Let others write; harmless when it is not open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def look(path: Path) -> os.stat_result | None:
    """Size and time of a growing file, with all of these bytes on the disk for good; None when there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = os.fstat(file)
        os.fsync(file)
    finally:
        os.close(file)
    return found

"""Blobs in a folder: each is a file that appears whole under its name, by a hard link that cannot overwrite."""

import errno
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from itertools import islice
from pathlib import Path
from uuid import uuid4

from common.blobs import BlobBusy, BlobInfo, BlobNotFound, Chunks, Name, OtherSize
from common.blobs.growing import GrowingFile, look
from common.blobs.incoming import MOST_PIECES, IncomingFile, sync_folder
from common.blobs.names import check_name, check_prefix
from common.blobs.oserrors import unavailable_on_oserror
from common.blobs.threads import Behind, in_thread

BLOCK = 1024 * 1024
"""Bytes read at a time."""

WRITTEN = 512 * 1024
"""Bytes written at a time: enough to be worth a thread; a stream holds twice as many."""

GATHERING_DAYS = 8
"""Days after which what was gathered, and never became a blob, is swept; Azure forgets it within seven."""

_INCOMING = ".incoming"
_GATHERING = ".gathering"
_LISTED_AT_A_TIME = 1000


class FolderBlobs:
    """Write-once blobs below a folder that exists; the layout is the same as in Azure.

    A blob is written to ``.incoming``, flushed to disk, then linked to its name. A folder that is missing, full,
    read-only or broken is `BlobsUnavailable`; it is never made here, so that an unmounted disk is not mistaken for
    an empty one. One blob's name cannot be another's folder. Bad names raise `ValueError`. A cancellation that comes
    while the finished bytes are being put under their name comes too late: the blob is then there, whole. What is
    gathered over many calls grows as one file in ``.gathering``, under its later name.

    Parameters
    ----------
    root
        The folder; one file system that has hard links.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._place: tuple[int, int] | None = None

    async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
        """Store the bytes under a name if nothing is there; see `common.blobs.Blobs.write`."""
        if isinstance(name, str):
            check_name(name)
        incoming = IncomingFile(self._root, self._root / _INCOMING / uuid4().hex)
        if isinstance(chunks, bytes):
            final = self._path(name)
            with unavailable_on_oserror():
                return await in_thread(_write_whole, incoming, final, chunks)
        try:
            with unavailable_on_oserror():
                await in_thread(incoming.open)
            pieces = await _append_behind(incoming, chunks)
            final = self._path(name)
            with unavailable_on_oserror():
                return await in_thread(_finish, incoming, pieces, final)
        finally:
            await in_thread(incoming.discard)

    async def read(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes from an offset, in blocks of 1 MiB."""
        if start < 0:
            msg = "an offset is not negative"
            raise ValueError(msg)
        with ExitStack() as opened:
            with unavailable_on_oserror():
                file, block = await in_thread(self._open, opened, check_name(name), start)
            while block:
                yield block
                if len(block) < BLOCK:  # a blob never grows, so a short read is its end
                    return
                with unavailable_on_oserror():
                    block = await in_thread(file.read, BLOCK)

    async def stat(self, name: str) -> BlobInfo | None:
        """Size and time of a blob, or None."""
        with unavailable_on_oserror():
            return await in_thread(self._stat, check_name(name))

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Every blob whose name begins with the prefix."""
        found = self._walk(check_prefix(prefix))
        while True:
            with unavailable_on_oserror():
                batch = await in_thread(_take, found)
            for info in batch:
                yield info
            if len(batch) < _LISTED_AT_A_TIME:
                return

    async def remove(self, prefix: str) -> int:
        """Remove every blob whose name begins with the prefix, which is not empty, and folders this leaves empty."""
        if not check_prefix(prefix):
            msg = "removing needs a prefix"
            raise ValueError(msg)
        with unavailable_on_oserror():
            return await in_thread(self._remove, prefix)

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        """The blob's own file, which is read-only."""
        if await self.stat(name) is None:
            raise BlobNotFound(name)
        yield self._root / name

    async def gather(self, name: str, start: int, chunks: Chunks) -> int:
        """Add bytes to what is gathered for a name; see `common.blobs.Blobs.gather`."""
        growing = GrowingFile(self._root, self._root / _GATHERING / check_name(name))
        try:
            with unavailable_on_oserror():
                size = await in_thread(self._grow, growing, name)
            if size != start:
                raise OtherSize(size)
            pieces, ended = await _append_what_comes(growing, chunks)
            with unavailable_on_oserror():
                size = await in_thread(_keep, growing, pieces)
            if ended is not None:
                raise ended
            return size
        finally:
            await in_thread(growing.close)

    async def gathered(self, name: str) -> BlobInfo | None:
        """How many bytes are stored for good of a blob that is being gathered, or is whole."""
        with unavailable_on_oserror():
            return await in_thread(self._gathered, check_name(name))

    async def seal(self, name: str, size: int) -> None:
        """Make what was gathered the blob; see `common.blobs.Blobs.seal`."""
        with unavailable_on_oserror():
            await in_thread(self._seal, check_name(name), size)

    def sweep(self, older_than: float = 86_400.0) -> int:
        """Remove what crashed writers left in ``.incoming``, and what was gathered and given up; blocks.

        Parameters
        ----------
        older_than
            Seconds since the last byte was written; a write in progress is younger.

        Returns
        -------
        int
            How many files were removed.
        """
        swept = 0
        for path in (self._root / _INCOMING).glob("*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - older_than:
                    path.unlink()
                    swept += 1
        for path in (self._root / _GATHERING).rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < time.time() - GATHERING_DAYS * 86_400:
                    path.unlink()
                    swept += 1
        return swept

    def _grow(self, growing: GrowingFile, name: str) -> int:
        self._not_whole(growing, name)
        size = growing.acquire()
        self._not_whole(growing, name)  # it may have become the blob while we came, and what is open be a new file
        return size

    def _not_whole(self, growing: GrowingFile, name: str) -> None:
        whole = self._stat(name)
        if whole is not None:
            growing.forget()
            raise OtherSize(whole.size)

    def _gathered(self, name: str) -> BlobInfo | None:
        found = look(self._root / _GATHERING / name)
        whole = self._stat(name)  # looked for last: between the two it may become whole, never the other way
        if whole is not None or found is None:
            return whole
        return _info(name, found)

    def _seal(self, name: str, size: int) -> None:
        path = self._root / _GATHERING / name
        if self._gathered(name) is None:
            raise BlobNotFound(name)
        growing = GrowingFile(self._root, path)
        try:
            found = self._grow(growing, name)
            if found == size:
                growing.become(self._root / name)
                growing.forget()
        except OtherSize as whole:
            found = whole.size
        finally:
            growing.close()
        if found != size:
            raise OtherSize(found)
        self._prune(path.parent, self._root / _GATHERING)

    def _path(self, name: Name) -> Path:
        return self._root / check_name(name if isinstance(name, str) else name())

    def _present(self) -> None:
        """Raise `OSError` unless the folder is the one it was: what lies in a folder that is away is not gone."""
        found = self._root.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        place = (found.st_dev, found.st_ino)
        if self._place is None:
            self._place = place
        elif place != self._place:
            raise OSError(errno.ESTALE, "another folder stands in its place; restart if that is meant")

    def _open(self, opened: ExitStack, name: str, start: int) -> tuple[FileIO, bytes]:
        try:
            file = opened.enter_context((self._root / name).open("rb", buffering=0))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._present()
            raise BlobNotFound(name) from None
        file.seek(start)
        return file, file.read(BLOCK)

    def _stat(self, name: str) -> BlobInfo | None:
        try:
            return _info(name, (self._root / name).stat())
        except (FileNotFoundError, NotADirectoryError):
            self._present()
            return None

    def _walk(self, prefix: str, below: str = "") -> Iterator[BlobInfo]:
        self._present()
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            try:
                entries = os.scandir(self._root / below / folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.name.startswith(".") or not name.startswith(prefix):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                        continue
                    with suppress(FileNotFoundError):
                        if info := _info(name, entry.stat(follow_symlinks=False)):
                            yield info

    def _remove(self, prefix: str) -> int:
        self._remove_below(prefix, _GATHERING)
        return self._remove_below(prefix, "")

    def _remove_below(self, prefix: str, below: str) -> int:
        removed = 0
        touched: set[Path] = set()
        for info in self._walk(prefix, below):
            path = self._root / below / info.name
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
                touched.add(path.parent)
        for folder in sorted(touched, reverse=True):
            self._prune(folder, self._root / below)
        return removed

    def _prune(self, folder: Path, top: Path) -> None:
        """Remove a folder and its parents while they are empty; what was erased stays erased after a power cut."""
        while folder != top:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break
            folder = folder.parent
        sync_folder(folder)


async def _append_behind(incoming: IncomingFile, chunks: Chunks) -> list[bytes]:
    """Write a block while the chunks of the next one come; return what is left for the end."""
    pieces: list[bytes] = []
    size = 0
    async with Behind() as writing:
        async for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= WRITTEN or len(pieces) == MOST_PIECES:
                with unavailable_on_oserror():
                    await writing.begin(incoming.append, pieces)
                pieces, size = [], 0
        with unavailable_on_oserror():
            await writing.done()
    return pieces


async def _append_what_comes(growing: GrowingFile, chunks: Chunks) -> tuple[list[bytes], BaseException | None]:
    """Write as `_append_behind`; return what is left for the end, and what ended the chunks before theirs."""
    pieces: list[bytes] = []
    size = 0
    async with Behind() as writing:
        while True:
            try:
                chunk = await anext(chunks, None)
            except BaseException as error:
                with unavailable_on_oserror():
                    await writing.done()
                return pieces, error
            if chunk is None:
                break
            pieces.append(chunk)
            size += len(chunk)
            if size >= WRITTEN or len(pieces) == MOST_PIECES:
                with unavailable_on_oserror():
                    await writing.begin(growing.append, pieces)
                pieces, size = [], 0
        with unavailable_on_oserror():
            await writing.done()
    return pieces, None


def _keep(growing: GrowingFile, pieces: Sequence[bytes]) -> int:
    growing.append(pieces)
    size = growing.sync()
    if not growing.in_place():
        raise BlobBusy  # removed meanwhile: what was written is gone with it
    return size


def _write_whole(incoming: IncomingFile, final: Path, data: bytes) -> bool:
    if final.exists():
        return False
    try:
        incoming.open()
        return _finish(incoming, [data], final)
    finally:
        incoming.discard()


def _finish(incoming: IncomingFile, pieces: Sequence[bytes], final: Path) -> bool:
    incoming.append(pieces)
    return incoming.link(final)


def _take(found: Iterator[BlobInfo]) -> list[BlobInfo]:
    return list(islice(found, _LISTED_AT_A_TIME))


def _info(name: str, found: os.stat_result) -> BlobInfo | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    return BlobInfo(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

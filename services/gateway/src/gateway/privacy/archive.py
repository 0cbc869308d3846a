"""A ZIP file that is sent while it is made: neither the file nor any member of it is ever held whole."""

import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Self

_DRAINED_AT = 256 * 1024


class Archive:
    """Collects members; what `take` gives, joined, is the file. A context manager: a file may be left unfinished.

    Texts are compressed; recordings are stored as they are, for media hardly gets smaller.
    """

    def __init__(self) -> None:
        self._made = _Made()
        self._zip = zipfile.ZipFile(self._made, "w", allowZip64=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        # What was not ended has no reader any more; `zipfile` would end it when it is collected.
        self._zip.fp = None

    def text(self, name: str, content: str, *, modified: datetime) -> None:
        """Add a text."""
        self._zip.writestr(_info(name, modified, zipfile.ZIP_DEFLATED), content.encode())

    async def member(
        self, name: str, chunks: AsyncIterator[bytes], *, modified: datetime, compress: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Add a member from its bytes, giving the file's on the way.

        What ``chunks`` raises is passed on before anything was added, if it raises at its first step; later the file
        is broken, and its reader will see that. Who stops in the middle closes this iterator before the archive.
        """
        first = await anext(chunks, b"")
        info = _info(name, modified, zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
        with self._zip.open(info, "w", force_zip64=True) as member:
            member.write(first)
            yield self.take()
            async for chunk in chunks:
                member.write(chunk)
                if self._made.waiting >= _DRAINED_AT:
                    yield self.take()
        yield self.take()

    def take(self) -> bytes:
        """What there is of the file since the last time."""
        return self._made.take()

    def end(self) -> bytes:
        """The rest of the file: the table of what is in it."""
        self._zip.close()
        return self.take()


class _Made(io.RawIOBase):
    """Takes what `zipfile` writes; it can't be gone back in, so sizes follow each member."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        part = bytes(data)
        self._parts.append(part)
        self.waiting += len(part)
        return len(part)

    def take(self) -> bytes:
        made, self._parts, self.waiting = b"".join(self._parts), [], 0
        return made


def _info(name: str, modified: datetime, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=modified.timetuple()[:6])
    info.compress_type = method
    info.external_attr = 0o600 << 16
    return info

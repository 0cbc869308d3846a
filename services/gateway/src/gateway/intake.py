"""An upload on its way into the store: counted, hashed, with its fields collected."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from hashlib import sha256

from common.options import JobOptions
from gateway.fields import job_options
from gateway.form import FileHead, FormField, Piece
from gateway.problems import EMPTY_FILE, NO_FILE, TOO_LARGE, Problem

HASHED_AT_ONCE = 512 * 1024
"""Bytes hashed in one go: enough to be worth a thread, few enough to hold for every upload there is."""

MOST_HELD = 256
"""Pieces held at most: a client that sends a byte at a time shall not make us hold a million objects."""


class Intake:
    """Consumes a body once; what it learned is known when `content` is exhausted.

    Parameters
    ----------
    pieces
        The body, from `gateway.form.pieces`.
    fields
        Options known before the body, from the query; the form's are added.
    limit
        Bytes the file may have.
    """

    def __init__(self, pieces: AsyncIterator[Piece], *, fields: Iterable[tuple[str, str]], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._hash = sha256()
        self._fields = list(fields)
        self.options = JobOptions()
        self.head = FileHead(None, None)
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes, in hexadecimal; final when `content` is exhausted."""
        return self._hash.hexdigest()

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The file's bytes, as they come.

        The body is read to its end before the iteration ends, so that fields after the file count as well, and a
        refusal for their sake leaves nothing stored.

        Raises
        ------
        Problem
            When there is no file, or it is empty or too large, or an option is not valid: as soon as that is known.
        """
        hashing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        hashing.set_result(None)
        held: list[bytes] = []
        waiting = files = 0
        try:
            async for piece in self._pieces:
                if isinstance(piece, bytes):
                    self.size += len(piece)
                    if self.size > self._limit:
                        raise Problem(
                            TOO_LARGE, f"A file may have at most {self._limit} bytes.", limit_bytes=self._limit
                        )
                    held.append(piece)
                    waiting += len(piece)
                    if waiting >= HASHED_AT_ONCE or len(held) >= MOST_HELD:
                        await hashing
                        hashing, held, waiting = self._hash_in_thread(held), [], 0
                    yield piece
                elif isinstance(piece, FormField):
                    self._fields.append((piece.name, piece.value))
                else:
                    self.head, files = piece, files + 1
                    job_options(self._fields)
            self.options = job_options(self._fields)
            if files == 0:
                raise Problem(NO_FILE, "Send the file as a part named 'file', or as the body itself.")
            if self.size == 0:
                raise Problem(EMPTY_FILE, "The file has no bytes.")
        finally:
            await hashing
        self._update(held)

    def _hash_in_thread(self, held: list[bytes]) -> asyncio.Future[None]:
        # hashlib releases the GIL, so the hash runs on another core while these bytes are written and more come.
        return asyncio.get_running_loop().run_in_executor(None, self._update, held)

    def _update(self, held: list[bytes]) -> None:
        for piece in held:
            self._hash.update(piece)

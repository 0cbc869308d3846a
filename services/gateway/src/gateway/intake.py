"""An upload on its way into the store: cut into blocks, counted, hashed, with its fields collected."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from hashlib import sha256

from gateway.form import FileHead, FormField, Piece
from gateway.problems import EMPTY_FILE, NO_FILE, TOO_LARGE, Problem

BLOCK = 1024 * 1024
"""Bytes handed on at once: large enough to hash and write in a thread, small enough to hold many."""

Fields = list[tuple[str, str]]


class Intake:
    """Consumes a body once; what it learned is known when `blocks` is exhausted.

    Parameters
    ----------
    pieces
        The body, from `gateway.form.pieces`.
    fields
        Options known before the body, from the query; the form's are added.
    limit
        Bytes the file may have.
    check
        Called with the fields when the file begins, and when the body has ended; raises to refuse the upload.
    """

    def __init__(
        self, pieces: AsyncIterator[Piece], *, fields: Fields, limit: int, check: Callable[[Fields], object]
    ) -> None:
        self._pieces = pieces
        self._limit = limit
        self._check = check
        self._hash = sha256()
        self.fields = fields
        self.head: FileHead | None = None
        self.size = 0

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes, in hexadecimal; final when `blocks` is exhausted."""
        return self._hash.hexdigest()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The file's bytes in blocks, while they come.

        The body is read to its end before the iteration ends, so that fields after the file count as well, and a
        refusal for their sake leaves nothing stored.

        Raises
        ------
        Problem
            When there is no file, or it is empty, too large, or refused by ``check``.
        """
        held: list[bytes] = []
        waiting = 0
        hashing: asyncio.Future[None] | None = None
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
                    if waiting >= BLOCK:
                        block, held, waiting = b"".join(held), [], 0
                        hashing = await self._feed(hashing, block)
                        yield block
                elif isinstance(piece, FormField):
                    self.fields.append((piece.name, piece.value))
                else:
                    self.head = piece
                    self._check(self.fields)
            self._check(self.fields)
            if self.head is None:
                raise Problem(NO_FILE, "Send the file as a part named 'file', or as the body itself.")
            if self.size == 0:
                raise Problem(EMPTY_FILE, "The file has no bytes.")
            if held:
                block = b"".join(held)
                hashing = await self._feed(hashing, block)
                yield block
        finally:
            if hashing is not None:
                await hashing

    async def _feed(self, before: asyncio.Future[None] | None, block: bytes) -> asyncio.Future[None]:
        # hashlib releases the GIL, so the hash runs on another core while the block is written and the next one comes.
        if before is not None:
            await before
        return asyncio.get_running_loop().run_in_executor(None, self._hash.update, block)

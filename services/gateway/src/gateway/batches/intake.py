"""A manifest on its way into PostgreSQL: cut into stretches, read, counted and kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from gateway.batches.item import Item
from gateway.batches.lines import Line, Lines
from gateway.batches.reader import Reader
from gateway.batches.store import BatchRow, BatchStore, OtherBody
from gateway.problems import INVALID, TOO_LARGE, Problem

KEPT_AT_ONCE = 1_000
HELD_AT_ONCE = 1024 * 1024
"""Lines, and their bytes, in a stretch; together with the longest line this is all of a manifest that is held."""

SHOWN_ERRORS = 100

Stretch = tuple[list[Item], int, str]
"""Items, the number of their last line, and the SHA-256 of the body up to that line's end."""


async def stretches(body: AsyncIterator[bytes], reader: Reader) -> AsyncIterator[Stretch]:
    """A manifest's items, some at a time.

    Where a stretch ends is a matter of the manifest's content, not of how it arrives. So the same manifest sent again
    has the same stretches, and the hash at the end of each says whether it is the same.
    """
    lines = Lines()
    held: list[Line] = []
    size = 0

    async def read() -> Stretch:
        # Reading takes some 50 µs a line, so it happens beside the loop.
        found = await asyncio.to_thread(lambda: [item for line in held if (item := reader.read(line)) is not None])
        return found, held[-1].number, lines.digest

    async for piece in body:
        for line in lines.feed(piece):
            held.append(line)
            size += len(line.raw or b"")
            if len(held) >= KEPT_AT_ONCE or size >= HELD_AT_ONCE:
                yield await read()
                held, size = [], 0
    held.extend(lines.end())
    if held:
        yield await read()


class Intake:
    """Keeps one manifest's items and knows what is wrong with them.

    Parameters
    ----------
    row
        The batch as it was opened, perhaps by an earlier request with the same key.
    asked
        Hash of how this request asks for it, besides the body; `OtherBody` when the first one asked otherwise.
    most
        Items a batch may have.
    strict
        Whether one bad line refuses all.
    """

    def __init__(self, store: BatchStore, row: BatchRow, *, asked: str, most: int, strict: bool) -> None:
        if row.request != asked:
            raise OtherBody
        self._store = store
        self.row = row
        self._most = most
        self._strict = strict
        self._since = 0
        self._digest = ""
        self._errors: list[tuple[str, str]] = []
        self.kept = 0, ""
        """Lines and digest of what is kept and came from this request as well."""
        self.turn: datetime | None = None
        """Until when it is this request's turn to list a prefix."""
        self.total = 0
        self.bad = 0

    async def begin_anew(self, digest: str) -> bool:
        """Drop what an earlier request kept of a listing; False when that one came to its end.

        Raises
        ------
        OtherBody, Busy
            When that one was for another listing; when it is still at it.
        """
        self.row, self.turn = await self._store.begin_anew(self.row.id, digest)
        return self.row.status == "receiving"

    async def add(self, items: Sequence[Item], upto: int, digest: str) -> None:
        """Keep a stretch; a 413 problem when there are too many items, `OtherBody` when another body came first."""
        bad = [item for item in items if item.bad]
        self.total += len(items)
        self.bad += len(bad)
        if self.total > self._most:
            raise Problem(TOO_LARGE, f"A batch may have at most {self._most} items.", limit_items=self._most)
        self._errors += [
            (f"line {item.line}: {item.field}", str(item.message)) for item in bad[: SHOWN_ERRORS - len(self._errors)]
        ]
        if not (self._strict and self.bad):
            self.turn = await self._store.add(
                *(self.row.id, self.row.owner, items),
                since=self._since,
                upto=upto,
                digest=digest,
                turn=self.turn,
            )
            self.kept = upto, digest
        self._since, self._digest = upto, digest

    async def end(self) -> BatchRow:
        """Let the batch run; a 422 problem when there is nothing in it, or a bad line where none may be."""
        if not self.total:
            raise Problem(INVALID, "The manifest has no items.", errors=[("body", "has no items")])
        if self._strict and self.bad:
            raise Problem(
                INVALID,
                f"{self.bad} of {self.total} lines are bad; nothing was kept. The first {len(self._errors)} are named.",
                errors=self._errors,
                bad=self.bad,
            )
        return await self._store.whole(
            self.row.id, upto=self._since, digest=self._digest, total=self.total, bad=self.bad, turn=self.turn
        )

"""Batches in PostgreSQL: domain words in, statements out; every method may raise `StoreUnavailable`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.batches import statements as sql
from gateway.batches.item import Item
from gateway.database import Database

_LAST_LINE = 2**31 - 1

RUNNING = ("transcoding", "transcribing", "translating")

_FILTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "queued": ("waiting", "", ("queued",)),
    "running": ("", "", RUNNING),
    "completed": ("completed", "", ("completed",)),
    "failed": ("failed", "", ("failed",)),
    "cancelled": ("cancelled", "waiting", ("cancelled",)),
    "bad": ("bad", "", ("bad",)),
}
"""For each state people see, the settled states in the rows it may be, and what the items must then come out as."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of `batches`, as far as it is asked for."""

    id: UUID
    owner: str
    status: str
    request: str
    received: int
    digest: str
    total: int
    bad: int
    completed: int
    failed: int
    cancelled: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items wait and are at work, and what an estimate needs: seconds of audio, and of time, as floats."""

    waiting: int
    out: dict[str, int]
    out_known: int
    out_seconds: float
    lately: int
    lately_known: int
    lately_seconds: float
    lately_age: float


class OtherBody(Exception):  # noqa: N818 - named for what it is
    """What comes now is not what came first with this key."""


class Busy(Exception):  # noqa: N818 - named for what it is
    """Another request is just listing the batch's prefix."""


class Gone(Exception):  # noqa: N818 - named for what it is
    """The batch is there no more."""


class BatchStore:
    """What requests about batches read and write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, batch: UUID, owner: str, *, request: str, keyed: bool) -> tuple[BatchRow, bool]:
        """Open the batch unless it is there; the row as it is then, and whether it was opened. Raises `Gone`.

        Parameters
        ----------
        request
            Hash of how it is asked for, besides the body.
        keyed
            Whether the request has an Idempotency-Key.
        """
        async with self._database.connection() as connection:
            opened = await connection.execute(sql.BEGIN, batch, owner, request, keyed)
            return _there(await connection.fetchrow(sql.FOUND, batch)), opened == "INSERT 0 1"

    async def begin_anew(self, batch: UUID, digest: str) -> tuple[BatchRow, datetime | None]:
        """Take the turn to list a prefix, and drop what was kept of a listing that did not come to its end.

        Parameters
        ----------
        digest
            Of what is listed.

        Returns
        -------
        BatchRow
            The row; nothing was done to it when it is not being received any more.
        datetime or None
            Until when the turn lasts, which tells it from every other; None when the row is not being received.

        Raises
        ------
        OtherBody, Gone, Busy
            When something else was listed first; when the batch was deleted; when another is just listing it.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = _there(await connection.fetchrow(sql.HOLD, batch))
            if row.digest not in {"", digest}:
                raise OtherBody
            if row.status != "receiving":
                return row, None
            turn: datetime | None = await connection.fetchval(sql.TAKE_TURN, batch, digest)
            if turn is None:
                raise Busy
            await connection.execute(sql.DROP_ITEMS, batch, _LAST_LINE)
            return row, turn

    async def give_up_turn(self, batch: UUID, turn: datetime | None) -> None:
        """Let another request list the prefix at once, unless another has the turn already."""
        async with self._database.connection() as connection:
            await connection.execute(sql.GIVE_UP_TURN, batch, turn)

    async def add(
        self,
        batch: UUID,
        owner: str,
        items: Sequence[Item],
        *,
        since: int,
        upto: int,
        digest: str,
        turn: datetime | None = None,
    ) -> datetime | None:
        """Keep the items of the lines after ``since`` up to ``upto``, whose end the body's digest is of.

        Nothing happens when they are there. Raises `OtherBody` when what is there is of another body, `Gone`, and
        `Busy` when the turn is another's by now. Returns the turn as it is then.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = _there(await connection.fetchrow(sql.HOLD, batch))
            if row.status == "receiving":
                await _have_turn(connection, batch, turn)
            if row.status != "receiving" or row.received > upto:
                return turn
            if row.received == upto or row.received != since:
                if row.received == upto and row.digest == digest:
                    return turn
                raise OtherBody
            await connection.execute(
                sql.ADD_ITEMS,
                batch,
                owner,
                [item.line for item in items],
                [item.reference for item in items],
                [item.kind for item in items],
                [item.source for item in items],
                [item.shown for item in items],
                [json.dumps(item.options) if item.options is not None else None for item in items],
                [item.field for item in items],
                [item.message for item in items],
            )
            bad = sum(item.bad for item in items)
            until: datetime | None = await connection.fetchval(sql.RECEIVED, batch, upto, digest, len(items), bad)
            return until

    async def whole(
        self, batch: UUID, *, upto: int, digest: str, total: int, bad: int, turn: datetime | None = None
    ) -> BatchRow:
        """The whole body was kept: let it run; also when that was said before. Raises as `add` does."""
        async with self._database.connection() as connection, connection.transaction():
            row = _there(await connection.fetchrow(sql.HOLD, batch))
            if row.status == "receiving":
                await _have_turn(connection, batch, turn)
            if row.digest != digest or (row.status == "receiving" and row.received != upto):
                raise OtherBody
            if row.status == "receiving":
                await connection.execute(sql.WHOLE, batch, digest, total, bad)
            return BatchRow(**await connection.fetchrow(sql.FOUND, batch))

    async def forget(self, batch: UUID, *, kept: tuple[int, str] | None) -> bool:
        """Give up a batch that was not received whole; False when it was. Its rows go by `gateway.batches.erase`.

        Parameters
        ----------
        kept
            Lines and digest of what was received, as far as the caller knows it: where there is more, or other, that
            is another's, and stays. None gives up whatever there is.
        """
        async with self._database.connection() as connection:
            return await connection.fetchval(sql.FORGET, batch, *(kept or (None, None))) is not None

    async def batch(self, owner: str, batch: UUID) -> BatchRow | None:
        """One batch of an owner."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.BATCH_OF_OWNER, owner, batch)
        return BatchRow(**row) if row is not None else None

    async def newest(self, owner: str, *, before: tuple[datetime, UUID] | None, limit: int) -> list[BatchRow]:
        """An owner's batches, newest first, from after a place in that order."""
        async with self._database.connection() as connection:
            return [
                BatchRow(**row) for row in await connection.fetch(sql.NEWEST, owner, *(before or (None, None)), limit)
            ]

    async def look(self, owner: str, batch: UUID) -> tuple[BatchRow, Tally] | None:
        """One batch of an owner, and how far it is."""
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read"):
            found = await connection.fetchrow(sql.BATCH_OF_OWNER, owner, batch)
            if found is None:
                return None
            out = await connection.fetch(sql.OUT_NOW, batch, owner)
            lately = await connection.fetchrow(sql.LATELY, batch, owner)
        row = BatchRow(**found)
        settled = row.bad + row.completed + row.failed + row.cancelled
        return row, Tally(
            waiting=row.total - settled - sum(part["items"] for part in out),
            out={part["status"]: part["items"] for part in out},
            out_known=sum(part["known"] for part in out),
            out_seconds=sum(part["seconds"] for part in out),
            lately=lately["items"],
            lately_known=lately["known"],
            lately_seconds=lately["seconds"],
            lately_age=lately["age"] or 0.0,
        )

    async def items(self, owner: str, batch: UUID, *, status: str | None, after: int, limit: int) -> list[Any]:
        """Items after a line, in the order of lines, as rows of `gateway.batches.statements.ITEMS`."""
        async with self._database.connection() as connection:
            if status is None:
                return list(await connection.fetch(sql.ITEMS, batch, owner, after, limit))
            return list(await connection.fetch(sql.ITEMS_IN_STATES, batch, owner, after, limit, *_FILTERS[status]))

    async def cancel(self, owner: str, batch: UUID) -> bool:
        """Drop what waits, in one statement; False when the batch does not run."""
        async with self._database.connection() as connection:
            return await connection.fetchval(sql.CANCEL, owner, batch) is not None

    async def retry(self, owner: str, batch: UUID) -> str | None:
        """Put the failed items back among the waiting; the state the batch was in, None when there is none.

        Nothing is done to one that is neither running nor completed.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(sql.HOLD_OF_OWNER, owner, batch)
            if row is None:
                return None
            if row["status"] in {"running", "completed"}:
                await connection.execute(sql.RETRY_ITEMS, batch, owner)
            return str(row["status"])

    async def delete(self, owner: str, batch: UUID) -> bool:
        """Hide a batch and have everything of it erased; False when there is none."""
        async with self._database.connection() as connection:
            return await connection.fetchval(sql.DELETE, owner, batch) is not None


async def _have_turn(connection: Any, batch: UUID, turn: datetime | None) -> None:
    """Return where it is this request's turn, or where there are no turns, as for manifests that are sent."""
    if turn is not None and await connection.fetchval(sql.TURN_OF, batch) != turn:
        raise Busy


def _there(row: Any) -> BatchRow:
    if row is None or row["status"] in {"deleting", "deleted"}:
        raise Gone
    return BatchRow(**row)

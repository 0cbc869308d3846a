"""What the release of items reads and writes; every method may raise `StoreUnavailable`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.batches import statements as sql
from gateway.batches.work import Place, Refusal, Work, job_of
from gateway.database import Database

_AT_ONCE = 1_000
_LOOKED_AT = 250


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look through an owner's items took, where it ended, and whether there may be more behind."""

    works: list[Work]
    place: Place | None
    more: bool


class ReleaseStore:
    """Claims items, so that of several gateways one releases each, and notes what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, owner: str, *, outstanding: int, turn: int) -> list[Work]:
        """Take the owner's next items, oldest batch first, those that are deferred after all others.

        Parameters
        ----------
        outstanding
            Jobs of batches an owner may have at work.
        turn
            Items taken at most.
        """
        return (await self._claim(owner, outstanding, turn, None, None, lambda _: True)).works

    async def claim_free(
        self, owner: str, *, outstanding: int, turn: int, after: Place | None, free: Callable[[Mapping[str, Any]], bool]
    ) -> Looked:
        """Take those of the owner's next items that are free, and pass over the others.

        Parameters
        ----------
        after
            Where the last look ended; None for the beginning.
        free
            Whether an item with these options costs nothing.
        """
        return await self._claim(owner, outstanding, turn, _LOOKED_AT, after, free)

    async def _claim(
        self,
        owner: str,
        outstanding: int,
        turn: int,
        look: int | None,
        after: Place | None,
        wanted: Callable[[Mapping[str, Any]], bool],
    ) -> Looked:
        async with self._database.connection() as connection, connection.transaction():
            if not await connection.fetchval(sql.MY_TURN, owner):
                return Looked([], after, more=False)  # Another gateway counts and claims for this owner just now.
            out = await connection.fetchrow(sql.OUTSTANDING, owner)
            works: list[Work] = []
            moving, more = True, False
            # Each kind has room of its own: what is held is in nobody's way, and is held though others are at work, for
            # its deadline is looked at only then.
            for deferred, room in ((False, outstanding - out["at_work"]), (True, outstanding - out["deferred"])):
                if after is not None and after[0] > deferred:
                    continue
                most = min(turn, len(works) + room)
                if len(works) >= most:
                    moving = False
                    continue
                place = after[1:] if after is not None and after[0] == deferred else (None, None, None)
                limit = look or most - len(works)
                rows = await connection.fetch(sql.NEXT_WAITING[deferred], owner, limit, *place)
                full = False
                for row in rows:
                    if wanted(row["options"]):
                        if full := len(works) == most:
                            break
                        works.append(_work(row, job_of(row, row["attempt"])))
                    if moving:  # The place goes past nothing that only found no room.
                        after = (deferred, row["created_at"], row["batch_id"], row["line"])
                more |= moving and not full and len(rows) == limit
                moving &= not full and len(rows) < limit
            await connection.execute(sql.CLAIM, *_keys(works))
        return Looked(works, after, more=more or len(works) == turn)

    async def claim_again(self, *, older_than: timedelta, limit: int) -> list[Work]:
        """Take items over that were claimed and not released: their gateway died, or Kafka was away."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.CLAIM_AGAIN, older_than, limit)
        return [_work(row, row["job_id"]) for row in rows]

    async def give_up_claims(self, batch: UUID, *, older_than: timedelta, others: Sequence[int] = ()) -> None:
        """Note as cancelled what of a batch that was stopped, or is to be erased, nobody will release any more.

        ``others`` are lines whose job is not the batch's: they lose it.
        """
        await self._execute(sql.GIVE_UP_CLAIMS, batch, older_than, list(others))

    async def released(self, works: Sequence[Work]) -> None:
        """Note that the items' jobs are in the log."""
        await self._execute(sql.RELEASED, *_keys(works))

    async def put_back(self, works: Sequence[Work]) -> None:
        """Let items wait again that may not be released now."""
        await self._execute(sql.PUT_BACK, *_keys(works))

    async def refused(self, refusals: Sequence[Refusal]) -> None:
        """Note that items cannot become jobs."""
        await self._execute(
            sql.REFUSED,
            *_keys([refusal.work for refusal in refusals]),
            [refusal.field for refusal in refusals],
            [refusal.code for refusal in refusals],
            [refusal.message for refusal in refusals],
        )

    async def settle(self) -> set[UUID]:
        """Note which jobs have ended or were erased; the batches they belong to."""
        touched: set[UUID] = set()
        async with self._database.connection() as connection:
            for statement in (sql.SETTLE, sql.SETTLE_ERASED):
                while rows := await connection.fetch(statement, _AT_ONCE):
                    touched.update(row["batch_id"] for row in rows)
                    if sum(row["items"] for row in rows) < _AT_ONCE:
                        break
        return touched

    async def finish(self, batches: Iterable[UUID] | None = None) -> None:
        """Note which batches, of some or of all, have nothing open any more."""
        async with self._database.connection() as connection, connection.transaction():
            asked = list(batches) if batches is not None else None
            rows = await connection.fetch(sql.HOLD_UNFINISHED, asked)
            # A new statement sees what was done before the rows were held, such as a retry.
            await connection.execute(sql.FINISH, [row["id"] for row in rows])

    async def owners(self) -> list[str]:
        """Who has items that wait."""
        return [row["owner"] for row in await self._fetch(sql.WAITING_OWNERS)]

    async def busy(self) -> bool:
        """Whether there is anything to do for any batch."""
        return bool((await self._fetch(sql.IS_BUSY))[0][0])

    async def in_status(self, status: str) -> list[tuple[UUID, str]]:
        """Some batches in one status, and their owners."""
        return [(row["id"], row["owner"]) for row in await self._fetch(sql.IN_STATUS, status)]

    async def being_claimed(self, batch: UUID) -> bool:
        """Whether items of a batch are just on their way into the log."""
        return bool((await self._fetch(sql.BEING_CLAIMED, batch))[0][0])

    async def jobs_out(self, batch: UUID) -> list[UUID]:
        """The jobs of a batch that have not ended and are in the log, or may be; those of `named` are left out."""
        return [row["job_id"] for row in await self._fetch(sql.OUT_OF_BATCH, batch)]

    async def named(self, batch: UUID) -> list[Any]:
        """Claimed items of uploads, with the jobs of these, which may be none of the batch's."""
        return await self._fetch(sql.NAMED, batch)

    async def cancelled(self, batch: UUID) -> None:
        """Note that every job of a cancelled batch was told."""
        await self._execute(sql.CANCELLED, batch)

    async def give_up_stale(self, *, older_than: timedelta) -> None:
        """Have batches erased whose manifest began to come and did not end."""
        await self._execute(sql.STALE, older_than)

    async def owner_of_deleted(self, batch: UUID) -> str | None:
        """Whose batch it is that is to be erased."""
        rows = await self._fetch(sql.OWNER_OF_DELETED, batch)
        return rows[0]["owner"] if rows else None

    async def some_items(self, batch: UUID, limit: int) -> list[Any]:
        """Some items of a batch, in the order of their lines."""
        return await self._fetch(sql.SOME_ITEMS, batch, limit)

    async def drop_items(self, batch: UUID, upto: int) -> None:
        """Remove items up to a line."""
        await self._execute(sql.DROP_ITEMS, batch, upto)

    async def drop_batch(self, batch: UUID) -> None:
        """Remove a batch that is to be erased; of one with a key the bare id stays, so that the key stays used."""
        await self._execute(sql.KEEP_BARE_ID, batch)
        await self._execute(sql.DROP_BATCH, batch)

    async def _execute(self, statement: str, *values: object) -> None:
        async with self._database.connection() as connection:
            await connection.execute(statement, *values)

    async def _fetch(self, statement: str, *values: object) -> list[Any]:
        async with self._database.connection() as connection:
            return list(await connection.fetch(statement, *values))


def _work(row: Any, job: UUID) -> Work:
    return Work(
        batch=row["batch_id"],
        line=row["line"],
        owner=row["owner"],
        job=job,
        kind=row["kind"],
        source=row["source"],
        options=row["options"],
    )


def _keys(works: Sequence[Work]) -> tuple[list[UUID], list[int], list[UUID]]:
    return [work.batch for work in works], [work.line for work in works], [work.job for work in works]

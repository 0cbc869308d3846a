"""`recorder.ports.Accounts` in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from common.options import Lane
from recorder import statements as sql
from recorder.ports import DroppedRows, ErasedAccount
from recorder.store import in_two_words


class AccountStore:
    """Accounts that are erased.

    Parameters
    ----------
    pool
        Connections from `common.db.pool`; the database may be away.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def to_sweep(self, *, now: datetime, late: bool, limit: int) -> list[ErasedAccount]:
        """Some accounts that are not done, and with ``late`` those done once."""
        with in_two_words():
            rows = await (
                self._pool.fetch(sql.LATE_ACCOUNTS, limit, now) if late else self._pool.fetch(sql.ASKED_ACCOUNTS, limit)
            )
        return [ErasedAccount(**row) for row in rows]

    async def jobs_of(self, owner: str, limit: int) -> list[tuple[UUID, Lane]]:
        """Some jobs of an owner, with their lanes."""
        with in_two_words():
            return [(row["id"], row["lane"]) for row in await self._pool.fetch(sql.JOBS_OF_OWNER, owner, limit)]

    async def swept_all_jobs(self, owner: str) -> bool:
        """Whether nothing is left to sweep of jobs of an owner that were erased."""
        with in_two_words():
            return bool(await self._pool.fetchval(sql.JOBS_ARE_SWEPT, owner))

    async def usage_of(self, owner: str, limit: int) -> list[UUID]:
        """Some billable acts of an owner."""
        with in_two_words():
            return [row["id"] for row in await self._pool.fetch(sql.USAGE_OF_OWNER, owner, limit)]

    async def drop_usage(self, owner: str, usage: Sequence[UUID]) -> None:
        """Remove and count billable acts."""
        with in_two_words():
            await self._pool.execute(sql.DROP_USAGE, owner, usage)

    async def drop_deliveries(self, owner: str) -> DroppedRows:
        """Remove and count webhook deliveries; return what has gone in all."""
        with in_two_words():
            row = await self._pool.fetchrow(sql.DROP_DELIVERIES, owner)
        return DroppedRows(**row) if row is not None else DroppedRows(0, 0)

    async def swept(self, owner: str, at: datetime) -> None:
        """Note that nothing is left."""
        with in_two_words():
            await self._pool.execute(sql.MARK_ACCOUNT_SWEPT, owner, at)

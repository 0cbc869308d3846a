"""The way to PostgreSQL: a connection for a moment, or a clear word that there is none."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from common.db.away import AWAY


class StoreUnavailable(Exception):  # noqa: N818 - named for the state, not the class
    """PostgreSQL does not answer for now."""


class StoreBusy(StoreUnavailable):
    """PostgreSQL is there, but had no connection or lock free in time."""


_LOCKED = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)


class Database:
    """Lends connections.

    Parameters
    ----------
    pool
        Connections to PostgreSQL; may be down.
    seconds
        Longest that a connection is waited for and held, after which `StoreUnavailable` is raised.
    """

    def __init__(self, pool: asyncpg.Pool, *, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._answered = -math.inf

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of asyncpg, outside any transaction; raises `StoreUnavailable` or its kind `StoreBusy`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline), self._pool.acquire() as connection:
                # A frozen server answers no cancel request either, for which asyncpg would wait: hang up instead.
                hang_up = loop.call_at(deadline, connection.terminate)
                try:
                    yield connection
                finally:
                    hang_up.cancel()
                self._answered = loop.time()
        except _LOCKED as error:
            self._answered = loop.time()
            raise StoreBusy from error
        except AWAY as error:
            # A server that answered others in the later half of the wait is not away; a frozen one answers nobody.
            late = loop.time() >= deadline
            busy = late and self._answered > deadline - self._seconds / 2
            raise (StoreBusy if busy else StoreUnavailable) from error

    async def ping(self) -> None:
        """Return when the database answers."""
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1")

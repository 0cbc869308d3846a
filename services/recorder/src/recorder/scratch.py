"""Empty copies of the projection's tables to build in, and the swap that puts their rows in place of the live ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from common.db.open_job import open_job
from common.events import UploadReceived

SCHEMA = "rebuild"
SEARCH_PATH = f"{SCHEMA}, public"

REPLACED = ("jobs", "translations", "utterances", "usage", "projection_offsets")
"""Tables whose rows the log alone decides."""

ADDED_TO = "erased_jobs"
"""Of this table nothing is ever taken away: what is swept stays swept."""

_LOCK = 0x5C81BEB17D
_SECONDS = 3600.0
"""Longest that one table may take to be filled."""

_ONE_AT_A_TIME = f"SELECT pg_try_advisory_lock({_LOCK})"
_DROP = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"
_CREATE = f"CREATE SCHEMA {SCHEMA}"
_COPY_OF = f"CREATE UNLOGGED TABLE {SCHEMA}.{{0}} (LIKE public.{{0}} INCLUDING ALL)"
_HOLD_WRITERS = f"LOCK TABLE {', '.join(f'public.{table}' for table in (*REPLACED, ADDED_TO))} IN EXCLUSIVE MODE"
_EMPTY = f"TRUNCATE {', '.join(f'public.{table}' for table in REPLACED)}"
_FILL = f"INSERT INTO public.{{0}} SELECT * FROM {SCHEMA}.{{0}}"  # noqa: S608 - names of our own
_ADD = f"{_FILL} ON CONFLICT DO NOTHING"
_KNOWN = f"INSERT INTO {SCHEMA}.{ADDED_TO} SELECT * FROM public.{ADDED_TO}"  # noqa: S608 - likewise
_HELD = "SELECT event FROM public.held_jobs"
_COUNT = f"SELECT count(*) FROM {SCHEMA}.jobs"  # noqa: S608 - likewise


class Scratch:
    """The tables to build in, as long as they are open."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def swap(self) -> AsyncIterator[None]:
        """Writers wait from here on; at the block's end the rows are swapped, and only then do readers wait as well."""
        async with self._connection.transaction():
            await self._connection.execute(_HOLD_WRITERS)
            yield
            await self._connection.execute(_EMPTY)
            for table in REPLACED:
                await self._connection.execute(_FILL.format(table), timeout=_SECONDS)
            await self._connection.execute(_ADD.format(ADDED_TO))
            # What is held is on no log until it is let go; only its own row tells of it.
            for row in await self._connection.fetch(_HELD):
                await open_job(self._connection, UploadReceived.model_validate(row["event"]))

    async def jobs(self) -> int:
        """How many jobs there are."""
        count: int = await self._connection.fetchval(_COUNT)
        return count


@asynccontextmanager
async def open_scratch(pool: asyncpg.Pool) -> AsyncIterator[Scratch]:
    """Make the tables, and drop them afterwards.

    Raises
    ------
    RuntimeError
        Somebody else is rebuilding this database.
    """
    async with pool.acquire() as connection:
        if not await connection.fetchval(_ONE_AT_A_TIME):
            raise RuntimeError("a rebuild of this database is under way already")
        await connection.execute(_DROP)
        await connection.execute(_CREATE)
        for table in (*REPLACED, ADDED_TO):
            await connection.execute(_COPY_OF.format(table))
        await connection.execute(_KNOWN)
        try:
            yield Scratch(connection)
        finally:
            await connection.execute(_DROP)

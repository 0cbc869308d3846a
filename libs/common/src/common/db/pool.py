"""Connections to PostgreSQL; opening the pool does not connect, so a service starts while the database is down."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from common.settings import CommonSettings


@asynccontextmanager
async def open_pool(
    settings: CommonSettings, *, size: int = 8, search_path: str = "public"
) -> AsyncIterator[asyncpg.Pool]:
    """Open a pool of at most ``size`` connections that look for tables in the schemas of ``search_path``.

    ``jsonb`` values are Python objects. Acquiring raises one of `common.db.away.AWAY` while the database is down.
    """
    pool = asyncpg.create_pool(
        settings.database_url.get_secret_value(),
        min_size=0,
        max_size=size,
        timeout=5,
        command_timeout=30,
        init=_init,
        reset=_keep,
        server_settings={"application_name": "scribewire", "search_path": search_path},
    )
    async with pool:
        yield pool


async def _init(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _keep(_connection: asyncpg.Connection) -> None:
    """Give a connection back as it is.

    Open transactions are rolled back before. By default asyncpg also resets what a session may have set, at the cost
    of a statement for each time a connection was lent; nobody sets anything for longer than a transaction here.
    """

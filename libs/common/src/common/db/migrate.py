"""Bring a database to the newest version: several may try at once, and PostgreSQL may still be starting."""

import asyncio
import time
from functools import partial
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from common.db.away import AWAY

LOCK = 0x5C81BE317E
"""Key of the advisory lock: whoever migrates holds it to the end of the transaction."""


async def migrate(database_url: SecretStr, *, wait: float = 60.0) -> None:
    """Run every migration that is missing, in one transaction under an advisory lock.

    Parameters
    ----------
    database_url
        PostgreSQL's address; it is never part of an error.
    wait
        Seconds to go on trying while PostgreSQL does not answer.

    Raises
    ------
    TimeoutError
        PostgreSQL did not answer in time.
    """
    deadline = time.monotonic() + wait
    await _answering(database_url, deadline)
    # asyncpg reads the address itself here too: SQLAlchemy would not pass on what it says of TLS.
    connect = partial(asyncpg.connect, database_url.get_secret_value())
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def _answering(database_url: SecretStr, deadline: float) -> None:
    while True:
        try:
            connection = await asyncpg.connect(database_url.get_secret_value(), timeout=5)
        except AWAY as error:
            if time.monotonic() > deadline:
                msg = f"PostgreSQL does not answer: {type(error).__name__}"
                raise TimeoutError(msg) from None
            await asyncio.sleep(0.2)
        else:
            await connection.close()
            return


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""Migrations on a real PostgreSQL: they make what the tables say, once, whoever tries at the same time."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from common.db import migrations
from common.db.migrate import migrate
from common.db.tables import metadata
from support.platform import fresh_database, running_postgres


@pytest.fixture
def dsn(postgres_server_dsn: str) -> str:
    return fresh_database(postgres_server_dsn)


async def test_the_migrations_make_what_the_tables_say(dsn: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    await migrate(SecretStr(dsn))
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_what_an_address_says_of_tls_is_heeded(dsn: str) -> None:
    """The server of the tests has none."""
    await migrate(SecretStr(f"{dsn}?sslmode=prefer"))
    with pytest.raises(TimeoutError):
        await migrate(SecretStr(f"{dsn}?sslmode=require"), wait=0)


async def test_several_at_once_migrate_once(dsn: str) -> None:
    await asyncio.gather(*(migrate(SecretStr(dsn)) for _ in range(4)))
    connection = await asyncpg.connect(dsn)
    newest = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    assert [row[0] for row in await connection.fetch("SELECT version_num FROM alembic_version")] == [newest]
    await connection.close()


async def test_a_database_that_never_answers_is_an_error_without_its_password(unused_tcp_port: int) -> None:
    with pytest.raises(TimeoutError) as caught:
        await migrate(SecretStr(f"postgresql://u:hunter2@127.0.0.1:{unused_tcp_port}/x"), wait=0.3)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_it_waits_for_a_database_that_is_still_starting() -> None:
    with running_postgres() as server:
        server.kill()
        migrating = asyncio.create_task(migrate(SecretStr(server.dsn), wait=60))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.start)
        await migrating
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT count(*) FROM jobs") == 0
        await connection.close()

"""What the gateway forgets of people by and by, over real rows."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from gateway.database import Database
from gateway.identity.room import Identity
from gateway.settings import GatewaySettings
from support.gateway import KEY, encryption_keys
from support.platform import fresh_database
from support.waiting import eventually

MAIL = """
INSERT INTO mails (id, kind, recipient, created_at, sent_at, failed_at)
VALUES ($1, $2, 'ann@example.org', now() - interval '90 days', now() - $3::interval, now() - $4::interval)"""


async def test_old_mails_are_forgotten_also_while_something_else_cannot_be(
    postgres_server_dsn: str, tmp_path: Path
) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    (tmp_path / "operator.key").write_text(KEY)
    keys = encryption_keys(tmp_path)
    settings = GatewaySettings(
        database_url=SecretStr(dsn), operator_key_file=tmp_path / "operator.key", encryption_keys_file=keys
    )
    async with open_pool(settings) as pool:
        old, new = timedelta(days=31), timedelta(days=29)
        for kind, sent, failed in (
            *(("sent", old, None), ("given up", None, old)),
            *(("sent lately", new, None), ("given up lately", None, new), ("waits", None, None)),
        ):
            await pool.execute(MAIL, uuid4(), kind, sent, failed)
        await pool.execute("INSERT INTO throttles (key, attempts, at) VALUES ('old', 1, now() - interval '2 days')")
        await pool.execute("ALTER TABLE throttles RENAME TO away")
        room = Identity(database=Database(pool, seconds=10), crypt=Crypt.of_file(keys), settings=settings)
        tidying = asyncio.create_task(room.keep_tidy(timedelta(milliseconds=50)))

        async def kinds() -> set[str]:
            return {row["kind"] for row in await pool.fetch("SELECT kind FROM mails")}

        async def left() -> bool:
            return await kinds() == {"sent lately", "given up lately", "waits"}

        await eventually(left, 10)
        await pool.execute("ALTER TABLE away RENAME TO throttles")

        async def forgotten() -> bool:
            return not await pool.fetch("SELECT key FROM throttles")

        await eventually(forgotten, 10)
        tidying.cancel()
        await room.close()

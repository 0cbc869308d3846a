"""The first admin: made together with the line about it, or not at all."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.identity import admin
from support.gateway import encryption_keys
from support.platform import fresh_database


async def test_the_first_admin_and_the_line_about_it_are_there_together_or_not_at_all(
    postgres_server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("SCRIBEWIRE_ENCRYPTION_KEYS_FILE", str(encryption_keys(tmp_path)))
    create = ["create-admin", "--email", "root@example.org", "--generate"]
    async with open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)) as pool:
        await pool.execute("ALTER TABLE audit_log RENAME TO away")
        assert await asyncio.to_thread(admin.main, create) == 1
        said = capsys.readouterr()
        assert (said.out, "the database does not do it" in said.err) == ("", True)
        assert await pool.fetchval("SELECT count(*) FROM accounts") == 0

        await pool.execute("ALTER TABLE away RENAME TO audit_log")
        assert await asyncio.to_thread(admin.main, create) == 0
        account = capsys.readouterr().out.split()[0]
        told = "SELECT details->>'account' FROM audit_log WHERE action = 'admin.created'"
        assert [row[0] for row in await pool.fetch(told)] == [account]
        assert await pool.fetchval("SELECT role FROM accounts WHERE id::text = $1", account) == "admin"

"""Encryption keys are rotated over real rows: in pages, beside writers, cut off and taken up, and by the commands."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common import encryption, keyfile
from common.crypt import Crypt, Undecipherable
from common.db.encrypted import ENCRYPTED, uses
from common.db.migrate import migrate
from common.db.rotate import rotate
from common.db.tables import metadata
from common.webhook_secrets import MARK, sealed
from support.platform import fresh_database
from support.waiting import eventually

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
CLEAR = "whsec_c2VjcmV0"
NAMES = {one.name: one for one in ENCRYPTED}


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@pytest.fixture
async def rows(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    await connection.execute("TRUNCATE accounts, batch_items, webhook_endpoints CASCADE")
    yield connection
    await connection.close()


async def account(rows: asyncpg.Connection, text: str | None) -> UUID:
    made = uuid4()
    await rows.execute(
        "INSERT INTO accounts (id, first_name, created_at, updated_at) VALUES ($1, $2, now(), now())", made, text
    )
    return made


async def line(rows: asyncpg.Connection, batch: UUID, number: int, address: str) -> None:
    await rows.execute(
        "INSERT INTO batch_items (batch_id, line, owner, state, address) VALUES ($1, $2, 'ann', 'waiting', $3)",
        *(batch, number, address),
    )


async def webhook(rows: asyncpg.Connection, secret: str) -> None:
    await rows.execute(
        "INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at)"
        " VALUES ($1, 'ann', 'https://example.org', $2, '{}', now())",
        *(uuid4(), secret),
    )


async def texts(rows: asyncpg.Connection, key: str, *, table: str = "accounts", column: str = "first_name") -> set[str]:
    """What the rows say that this key alone can read."""
    crypt = Crypt([key])
    found = [row[0] for row in await rows.fetch(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")]
    readable = set()
    for stored in found:
        try:
            readable.add(crypt.decrypt(stored.removeprefix(MARK)))
        except Undecipherable:
            continue
    return readable


async def test_every_column_called_encrypted_is_one(rows: asyncpg.Connection) -> None:
    said = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.comment is not None and ("Fernet" in column.comment or "ncrypted" in column.comment)
    }
    assert said | {"accounts.last_name", "accounts.company"} == NAMES.keys()


async def test_rows_are_changed_page_by_page_and_only_once(rows: asyncpg.Connection, database: str) -> None:
    old, crypt = Crypt([OLD]), Crypt([NEW, OLD])
    for number in range(7):
        await account(rows, old.encrypt(f"name {number}"))
    await account(rows, None)
    new = crypt.encrypt("new already")
    await account(rows, new)
    lost = Crypt([LOST]).encrypt("lost")
    await account(rows, lost)
    batches = sorted([uuid4(), uuid4()])
    for batch in batches:
        for number in range(4):
            await line(rows, batch, number, old.encrypt(f"{batch} {number}"))
    await webhook(rows, CLEAR)
    await webhook(rows, sealed(old, "whsec_b2xk"))
    await webhook(rows, sealed(crypt, "whsec_bmV3"))

    done = await rotate(SecretStr(database), crypt, size=3)
    changed = {name: what.renewed for name, what in done.items() if what.renewed}
    assert changed == {"accounts.first_name": 7, "batch_items.address": 8, "webhook_endpoints.secret": 2}
    assert {name: what.unreadable for name, what in done.items() if what.unreadable} == {"accounts.first_name": 1}
    assert await texts(rows, NEW) == {*(f"name {number}" for number in range(7)), "new already"}
    assert await texts(rows, NEW, table="batch_items", column="address") == {
        f"{batch} {number}" for batch in batches for number in range(4)
    }
    assert await texts(rows, NEW, table="webhook_endpoints", column="secret") == {CLEAR, "whsec_b2xk", "whsec_bmV3"}
    assert not await rows.fetch("SELECT id FROM webhook_endpoints WHERE secret LIKE 'whsec%'")
    kept = {row[0] for row in await rows.fetch("SELECT first_name FROM accounts")}
    assert {None, new, lost} < kept, "what needed nothing is as it was"
    counted = await uses(rows, NAMES["accounts.first_name"], crypt, size=3)
    assert (counted.by_key, counted.older, counted.clear, counted.unreadable) == ({0: 8}, 0, 0, 1)
    again = await rotate(SecretStr(database), crypt, size=3)
    assert not any(what.renewed for what in again.values())


async def test_a_writer_keeps_what_it_writes_and_holds_up_no_other_row(rows: asyncpg.Connection, database: str) -> None:
    old, crypt = Crypt([OLD]), Crypt([NEW, OLD])
    made = [await account(rows, old.encrypt(f"name {number}")) for number in range(6)]
    writer = await asyncpg.connect(database)
    try:
        writing = writer.transaction()
        await writing.start()
        theirs = crypt.encrypt("theirs")
        await writer.execute("UPDATE accounts SET first_name = $2 WHERE id = $1", made[2], theirs)
        await writer.execute("UPDATE accounts SET username = 'touched' WHERE id = $1", made[3])
        rotating = asyncio.create_task(rotate(SecretStr(database), crypt))

        async def others_done() -> bool:
            return len(await texts(rows, NEW)) == 4

        await eventually(others_done, 10)
        # A deadlock would show here: rotation waits for a row of the writer, who now takes the others.
        await asyncio.wait_for(writer.execute("UPDATE accounts SET company = NULL"), 10)
        assert not rotating.done()
        await writing.commit()
    finally:
        await writer.close()
    done = await asyncio.wait_for(rotating, 10)
    assert done["accounts.first_name"].renewed == 5
    assert await rows.fetchval("SELECT first_name FROM accounts WHERE id = $1", made[2]) == theirs
    assert await texts(rows, NEW) == {"name 0", "name 1", "theirs", "name 3", "name 4", "name 5"}


async def test_cut_off_it_goes_on_with_what_is_left(rows: asyncpg.Connection, database: str) -> None:
    old, crypt = Crypt([OLD]), Crypt([NEW, OLD])
    made = sorted([await account(rows, old.encrypt(f"name {number}")) for number in range(9)])
    writer = await asyncpg.connect(database)
    try:
        writing = writer.transaction()
        await writing.start()
        await writer.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", made[4])
        rotating = asyncio.create_task(rotate(SecretStr(database), crypt, size=3))

        async def two_pages_but_one() -> bool:
            return len(await texts(rows, NEW)) == 5

        await eventually(two_pages_but_one, 10)
        rotating.cancel()
        await asyncio.gather(rotating, return_exceptions=True)
        await writing.rollback()
    finally:
        await writer.close()
    done = await rotate(SecretStr(database), crypt, size=3)
    assert done["accounts.first_name"].renewed == 4
    assert len(await texts(rows, NEW)) == 9


async def test_the_commands_rotate_the_keys_and_lose_nothing(
    rows: asyncpg.Connection,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "encryption.keys"
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("SCRIBEWIRE_ENCRYPTION_KEYS_FILE", str(path))

    async def command(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(encryption.main, list(words))
        said = capsys.readouterr()
        assert not any(key in said.out + said.err for key in path.read_text().split())
        return status, said.out + said.err

    async def settle() -> None:
        hour = path.stat().st_mtime - 3600
        os.utime(path, (hour, hour))

    status, first = await command("generate")
    assert (status, len(keyfile.read(path))) == (0, 1)
    process = Crypt.of_file(path)
    await account(rows, process.encrypt("Rita"))
    await webhook(rows, CLEAR)
    status, second = await command("generate", str(path))
    first, second = first.strip(), second.strip()
    assert list(map(keyfile.name, keyfile.read(path))) == [first, second]
    assert (await command("promote", "01234567"))[0] == 2
    assert (await command("promote", second))[0] == 0
    assert list(map(keyfile.name, keyfile.read(path))) == [second, first]
    assert await command("status") == (
        0,
        f"{second}: 0 texts; it encrypts\n{first}: 1 texts\nin clear: webhook_endpoints.secret 1\n",
    )
    status, said = await command("retire")
    assert (status, "try again in" in said, len(keyfile.read(path))) == (1, True, 2)
    await settle()
    assert await command("retire") == (
        1,
        "encryption: an older key is still needed, run rotate: accounts.first_name 1\n",
    )
    status, said = await command("rotate")
    assert status == 0
    assert "accounts.first_name: 1 encrypted anew\n" in said
    assert "webhook_endpoints.secret: 1 encrypted anew\n" in said
    assert await command("retire") == (0, f"{first} is out\n")
    assert await command("retire") == (0, "")
    [left] = keyfile.read(path)
    assert keyfile.name(left) == second
    assert await texts(rows, left) == {"Rita"}
    assert process.decrypt(await rows.fetchval("SELECT first_name FROM accounts")) == "Rita"
    path.unlink()
    await command("generate")
    assert await command("rotate") == (
        1,
        "".join(f"{name}: 0 encrypted anew\n" for name in NAMES)
        + "encryption: made with a key that is not in the file: accounts.first_name 1, webhook_endpoints.secret 1\n",
    )


async def test_a_database_that_is_away_is_told_without_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyfile.generate(tmp_path / "encryption.keys")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:9/x")
    monkeypatch.setenv("SCRIBEWIRE_ENCRYPTION_KEYS_FILE", str(tmp_path / "encryption.keys"))
    assert await asyncio.to_thread(encryption.main, ["rotate"]) == 1
    said = capsys.readouterr()
    assert "the database does not do it" in said.err
    assert "hunter2" not in said.err + said.out

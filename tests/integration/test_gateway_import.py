"""Accounts of the systems before, brought over with their passwords; and the first admin, made on the command line."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import bcrypt
import pytest

from gateway.identity import importer
from support.gateway import RunningGateway, encryption_keys, prepare, running_gateway
from support.people import call, registration
from support.platform import fresh_database

SALT = "salt-of-old"
ANN = "0b7c1c5e-3a5e-4c39-9f0e-111111111111"

A_SCHEMA = """
CREATE TABLE users (user_id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, username TEXT UNIQUE NOT NULL,
    password_hash TEXT NOT NULL, created_at TEXT NOT NULL, last_login TEXT, is_active BOOLEAN DEFAULT 1,
    gdpr_consent BOOLEAN DEFAULT 0, data_retention_agreed BOOLEAN DEFAULT 0, marketing_consent BOOLEAN DEFAULT 0)"""

F_SCHEMA = """
CREATE TABLE users (id integer PRIMARY KEY, email text, password_hash text, first_name text, last_name text,
    company text, plan text, is_active boolean, api_calls_month integer, created_at timestamp, role text)"""


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("import")
    async with running_gateway(kafka_bootstrap, dsn, folder, password_salt=SALT) as running:
        yield running


async def run(gateway: RunningGateway, module: str, *arguments: str, typed: str = "") -> tuple[int, str]:
    """A command as the operator runs it: its status and all it said."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": gateway.dsn,
        "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(encryption_keys(gateway.blobs.parent)),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env=environment,
        cwd=gateway.blobs.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(typed.encode())
    assert process.returncode is not None
    return process.returncode, said.decode()


def a_user(number: int, **changes: object) -> dict[str, object]:
    return {
        "user_id": f"user-{number}",
        "email": f"a{number}@example.org",
        "username": f"old user {number}",
        "password_hash": sha256(f"weak{number}{SALT}".encode()).hexdigest(),
        "created_at": "2023-05-06T07:08:09.123456",
        "is_active": 1,
        "gdpr_consent": 1,
        "data_retention_agreed": 1,
        "marketing_consent": 0,
        **changes,
    }


def sqlite_file(path: Path, *users: dict[str, object]) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(A_SCHEMA)
    for user in users:
        places = ", ".join("?" * len(user))
        connection.execute(f"INSERT INTO users ({', '.join(user)}) VALUES ({places})", tuple(user.values()))
    connection.commit()
    connection.close()
    return path


async def test_accounts_of_the_azure_service_come_over_with_their_passwords(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    file = sqlite_file(
        tmp_path / "transcriptions.db",
        a_user(1, user_id=ANN),
        a_user(2, is_active=0),
        a_user(3, email="not an address"),
        a_user(4, email="A1@Example.org"),
    )
    status, said = await run(gateway, "gateway.identity.importer", "--sqlite", str(file))
    assert status == 1
    assert "2 imported" in said
    assert "azure:user-3: its address or a name is not an e-mail address" in said
    assert "azure:user-4: its email belongs to another account" in said

    async with aiohttp.ClientSession(gateway.url) as http:
        await call(http, "POST", "/auth/login", {"login": "a1@example.org", "password": "weak2"}, status=401)
        for _ in range(2):  # by the hash of old, and by the one that replaced it
            tokens = await call(http, "POST", "/auth/login", {"login": "Old User 1", "password": "weak1"})
        await call(http, "POST", "/auth/login", {"login": "a2@example.org", "password": "weak2"}, status=403)
    user = tokens["user"]
    assert (user["id"], user["created_at"]) == (ANN, "2023-05-06T07:08:09.123456Z")
    assert user["consents"] == {"gdpr_consent": True, "data_retention_agreed": True, "marketing_consent": False}
    assert (await hash_of(gateway, ANN)).startswith("$argon2id$")

    # Again: nothing is added, and nothing that changed here is put back.
    status, said = await run(gateway, "gateway.identity.importer", "--sqlite", str(file), "--json")
    assert (status, '"here already": 2' in said, "imported" in said) == (1, True, False)
    assert (await hash_of(gateway, ANN)).startswith("$argon2id$")


async def test_accounts_of_the_flask_service_come_over_with_their_passwords(
    gateway: RunningGateway, postgres_server_dsn: str
) -> None:
    flask = fresh_database(postgres_server_dsn)
    connection = await asyncpg.connect(flask)
    await connection.execute(F_SCHEMA)
    known = bcrypt.hashpw(b"weak", bcrypt.gensalt(rounds=4)).decode()
    await connection.execute(
        "INSERT INTO users VALUES"
        " (7, 'f7@example.org', $1, 'Fay', '<i>Seven</i>', NULL, 'Pro', true, 5, now(), 'admin')",
        known,
    )
    await connection.close()
    status, said = await run(gateway, "gateway.identity.importer", "--flask-url", flask)
    assert (status, said) == (0, "1 imported\n")
    async with aiohttp.ClientSession(gateway.url) as http:
        await call(http, "POST", "/auth/login", {"email": "f7@example.org", "password": "wrong"}, status=401)
        tokens = await call(http, "POST", "/auth/login", {"email": "f7@example.org", "password": "weak"})
    user = tokens["user"]
    assert (user["first_name"], user["last_name"], user["plan"], user["role"]) == ("Fay", "Seven", "pro", "user")
    assert (await hash_of(gateway, user["id"])).startswith("$argon2id$")
    assert await run(gateway, "gateway.identity.importer", "--flask-url", flask) == (0, "1 here already\n")


async def test_a_source_that_cannot_be_read_is_said_without_its_password(
    gateway: RunningGateway, unused_tcp_port: int, tmp_path: Path
) -> None:
    url = f"postgresql://u:hunter2@127.0.0.1:{unused_tcp_port}/x"
    for arguments in (("--flask-url", url), ("--sqlite", str(tmp_path / "none.db"))):
        status, said = await run(gateway, "gateway.identity.importer", *arguments)
        assert status == 2
        assert said.startswith("import: ")
        assert "hunter2" not in said


def test_an_id_that_is_none_becomes_the_same_one_each_time() -> None:
    old = [
        importer.Old(source=source, email="", password_hash=None, created_at=datetime.now(UTC))
        for source in ("azure:user-1", "azure:user-1", "flask:user-1", f"azure:{ANN}")
    ]
    assert old[0].id == old[1].id != old[2].id
    assert old[3].id == UUID(ANN)


async def test_the_first_admin_is_made_with_a_password_nobody_wrote_down(gateway: RunningGateway) -> None:
    create = ("gateway.identity.admin", "create-admin", "--email")
    status, said = await run(gateway, *create, "root@example.org", "--generate")
    assert status == 0
    admin, password = said.split()[0], said.split()[-1]
    async with aiohttp.ClientSession(gateway.url) as http:
        tokens = await call(http, "POST", "/auth/login", {"email": "root@example.org", "password": password})
        assert (tokens["user"]["id"], tokens["user"]["role"]) == (admin, "admin")
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        audit = await call(http, "GET", "/v1/admin/audit?action=admin.created", headers=headers)
        assert [line["details"] for line in audit["lines"]] == [{"account": admin}]
        status, said = await run(gateway, *create, "ROOT@example.org", "--password-stdin", typed="Typed-horse-1\n")
        assert (status, "there is an account with this email" in said) == (1, True)
        status, said = await run(gateway, *create, "other@example.org", "--password-stdin", typed="weak\n")
        assert (status, said) == (2, "create-admin: it must have at least 8 characters\n")
        status, _ = await run(gateway, *create, "other@example.org", "--password-stdin", typed="Typed-horse-1\n")
        assert status == 0
        await call(http, "POST", "/auth/login", {"email": "other@example.org", "password": "Typed-horse-1"})


async def test_keys_are_rotated_and_everything_stays_readable(gateway: RunningGateway) -> None:
    async with aiohttp.ClientSession(gateway.url) as http:
        tokens = await call(
            *(http, "POST", "/auth/register"),
            registration(email="rita@example.org", first_name="Rita"),
            status=201,
        )
    keys = encryption_keys(gateway.blobs.parent)
    before = await column(gateway, tokens["user"]["id"], "first_name")
    status, name = await run(gateway, "common.encryption", "generate", str(keys))
    assert (status, len(keys.read_text().split()), keys.stat().st_mode & 0o777) == (0, 2, 0o600)
    assert (await run(gateway, "common.encryption", "promote", name.strip()))[0] == 0
    status, said = await run(gateway, "common.encryption", "rotate")
    assert status == 0
    assert "signing_keys.private_key: 1 encrypted anew" in said
    assert await column(gateway, tokens["user"]["id"], "first_name") != before
    os.utime(keys, (0, 0))
    assert (await run(gateway, "common.encryption", "retire"))[0] == 0
    assert len(keys.read_text().split()) == 1
    # The gateway that ran all the while reads what it can read with the new key alone.
    async with aiohttp.ClientSession(gateway.url) as http:
        shown = await call(*(http, "GET", "/v1/account"), headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert shown["first_name"] == "Rita"


async def hash_of(gateway: RunningGateway, account: str) -> str:
    return await column(gateway, account, "password_hash")


async def column(gateway: RunningGateway, account: str, name: str) -> str:
    connection = await asyncpg.connect(gateway.dsn)
    try:
        return str(await connection.fetchval(f"SELECT {name} FROM accounts WHERE id = $1", UUID(account)))
    finally:
        await connection.close()

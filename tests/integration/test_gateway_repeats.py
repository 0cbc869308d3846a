"""Creating a webhook or a key twice under one Idempotency-Key makes one, on a real PostgreSQL; and what rows show."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.app import application
from gateway.callers import Callers
from gateway.database import Database
from gateway.identity import keys_api
from gateway.identity.audit import AuditLog
from gateway.identity.key_store import KeyStore
from gateway.identity.keys import Keys
from gateway.identity.keys_api import KeysApi
from gateway.routes import ROUTES
from gateway.store import Store
from gateway.webhooks import WebhooksApi
from support.doors import BelievingDoor
from support.platform import fresh_database
from support.tus_room import ANN, BOB

Client = TestClient[web.Request, web.Application]


@pytest.fixture(scope="module")
async def pool(postgres_server_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    async with open_pool(CommonSettings(database_url=SecretStr(dsn))) as opened:
        yield opened


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What the audit log was told."""
    return []


@pytest.fixture
async def client(pool: asyncpg.Pool, told: list[tuple[str, str]]) -> AsyncIterator[Client]:
    database = Database(pool, seconds=5)
    webhooks = WebhooksApi(store=Store(database), crypt=Crypt([Fernet.generate_key().decode()]), allow_private=True)
    keys = KeysApi(
        keys=Keys(store=KeyStore(database), pepper=None, changed=lambda _: None), audit=AuditLog(database, Callers())
    )

    async def other(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    ours = {"add_webhook": webhooks.add, "drop_webhook": webhooks.drop, "create_key": keys.create}
    app = application(
        {route.operation: ours.get(route.operation, other) for route in ROUTES},
        BelievingDoor(),
        noted=lambda _request, action, about: told.append((action, about)),
    )
    async with TestClient(TestServer(app)) as serving:
        yield serving


NEW = {
    "/v1/webhooks": ({"url": "https://hooks.example/a"}, {"url": "https://hooks.example/b"}),
    "/v1/keys": ({"name": "ci", "expires_in_days": 3}, {"name": "ci", "expires_in_days": 4}),
}


@pytest.mark.parametrize("path", NEW)
async def test_one_key_makes_one_and_shows_its_secret_once(client: Client, pool: asyncpg.Pool, path: str) -> None:
    same, another = NEW[path]
    ann = {"Authorization": f"Bearer {ANN}", "Idempotency-Key": "one"}
    async with client.post(path, json=same, headers=ann) as answer:
        assert answer.status == 201, await answer.text()
        made = await answer.json()
    async with client.post(path, json=same, headers=ann) as answer:
        document = json.loads(await answer.text())
        assert (answer.status, document["type"]) == (409, "urn:scribewire:problem:made-before")
    assert document["id"] == made["id"]
    assert made.get("secret", made.get("key")) not in str(document)
    async with client.post(path, json=another, headers=ann) as answer:
        assert answer.status == 422
        assert json.loads(await answer.text())["type"] == "urn:scribewire:problem:idempotency-key-reused"
    for headers in (ann | {"Idempotency-Key": "two"}, ann | {"Authorization": f"Bearer {BOB}"}):
        async with client.post(path, json=same, headers=headers) as answer:
            assert answer.status == 201
            assert (await answer.json())["id"] != made["id"]
    table = {"/v1/webhooks": "webhook_endpoints", "/v1/keys": "api_keys"}[path]
    assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE owner = $1", ANN) == 2


async def test_the_answer_to_a_repeat_says_how_to_have_another_key(
    client: Client, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = {"Authorization": f"Bearer {ANN}", "Idempotency-Key": "revoked"}
    same = {"name": "ci", "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    async with client.post("/v1/keys", json=same, headers=ann) as answer:
        assert answer.status == 201, await answer.text()
        made = UUID((await answer.json())["id"])
    monkeypatch.setattr(keys_api, "MOST_DAYS", 0)  # What was asked for may not be asked for any more.
    for instead in ("rotate the key", "use a new Idempotency-Key"):
        async with client.post("/v1/keys", json=same, headers=ann) as answer:
            document = json.loads(await answer.text())
        assert (answer.status, document["type"]) == (409, "urn:scribewire:problem:made-before")
        assert instead in document["detail"]
        await pool.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", made)


async def test_a_webhook_that_was_dropped_may_be_made_again(client: Client, told: list[tuple[str, str]]) -> None:
    headers = {"Authorization": f"Bearer {ANN}", "Idempotency-Key": "again"}
    for _ in range(2):
        async with client.post("/v1/webhooks", json={"url": "https://hooks.example/c"}, headers=headers) as answer:
            assert answer.status == 201
            made = await answer.json()
        async with client.post("/v1/webhooks", json={"url": "https://hooks.example/c"}, headers=headers) as answer:
            assert answer.status == 409
        async with client.delete(f"/v1/webhooks/{made['id']}", headers=headers) as answer:
            assert answer.status == 204
    assert told == [("webhook.added", made["id"]), ("webhook.removed", made["id"])] * 2


async def test_a_deferred_job_says_so_and_in_which_lane_it_works(pool: asyncpg.Pool) -> None:
    job = await pool.fetchval(
        "INSERT INTO jobs (id, owner, lane, options, created_at, updated_at)"
        " VALUES (gen_random_uuid(), 'ann', 'bulk', $1, now(), now()) RETURNING id",
        {"priority": "deferred"},
    )
    row = await Store(Database(pool, seconds=5)).job("ann", job)
    assert row is not None
    assert (row.job.priority, row.job.lane) == ("deferred", "bulk")

"""The end of an account at the gateway: at once for who comes in, bit by bit for what is left or comes late."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from common.events import now
from gateway.database import Database
from gateway.identity.ended import EndedIdentities
from gateway.privacy import store as privacy_store
from gateway.privacy.forget import Forgetter
from gateway.privacy.store import FORGET, PrivacyStore
from support.gateway import RunningGateway, prepare, running_gateway
from support.people import somebody
from support.platform import fresh_database
from support.waiting import eventually


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("privacy")
    async with running_gateway(
        kafka_bootstrap, dsn, folder, delete_seconds=0.1, trusted_proxies="127.0.0.0/8"
    ) as running:
        yield running


@pytest.fixture
async def pool(gateway: RunningGateway) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(gateway.dsn, min_size=1, max_size=2) as pool:
        yield pool


def privacy_of(pool: asyncpg.Pool) -> PrivacyStore:
    """What ends accounts."""
    database = Database(pool, seconds=5)
    return PrivacyStore(database, EndedIdentities(database))


async def left(pool: asyncpg.Pool, owner: str) -> dict[str, int]:
    """Rows that name an owner, by table; the bare id is what may stay."""
    tables = [row[0] for row in await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    counts = {
        table: await pool.fetchval(f"SELECT count(*) FROM {table} AS t WHERE strpos(t::text, $1) > 0", owner)
        for table in tables
    }
    return {table: count for table, count in counts.items() if count and table != "erased_accounts"}


async def test_nobody_comes_in_from_the_answer_on(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as ann:
        key = (await ann.post("/v1/keys", {"name": "laptop"}, status=201))["key"]
        for headers in (ann.headers, {"x-api-key": key}):
            async with ann.http.get("/v1/jobs", headers=headers) as answer:
                assert answer.status == 200
        async with ann.http.delete("/v1/account", headers=ann.headers) as answer:
            assert answer.status in {202, 204}
        for headers in (ann.headers, {"x-api-key": key}):
            async with ann.http.get("/v1/jobs", headers=headers) as answer:
                assert answer.status == 401


async def test_what_is_much_goes_in_pages_and_what_comes_late_goes_too(
    gateway: RunningGateway, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_store, "PAGE", 10)
    async with somebody(gateway.url) as ann:
        lines = b"".join(b'{"blob": "a%d.wav", "reference": "r%d"}\n' % (n, n) for n in range(35))
        kind = {"Content-Type": "application/x-ndjson", **ann.headers}
        async with ann.http.post("/v1/batches", data=lines, headers=kind) as answer:
            assert answer.status == 202, await answer.text()
        await pool.execute(
            "INSERT INTO counted_jobs (job_id, owner, at)"
            " SELECT gen_random_uuid(), $1, now() FROM generate_series(1, 25)",
            ann.id,
        )
        async with ann.http.delete("/v1/account", headers=ann.headers) as answer:
            assert answer.status in {202, 204}

        async def gone() -> bool:
            return set(await left(pool, ann.id)) <= {"audit_log", "jobs"}

        await eventually(gone, seconds=15)
        stayed = await pool.fetch("SELECT ip, user_agent, details FROM audit_log WHERE actor = $1", ann.id)
        assert stayed
        assert {tuple(row) for row in stayed} == {(None, None, "{}")}
        # Somebody who was let in a moment before the end, at another gateway.
        await pool.execute(
            "INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at)"
            " VALUES ($1, $2, 'https://example.org', 'whsec_x', '{}', now())",
            uuid4(),
            ann.id,
        )
        await pool.execute(
            "INSERT INTO audit_log (id, at, actor, action, ip, user_agent, details)"
            " VALUES ($1, now(), $2, 'job.submitted', '198.51.100.7', 'late/1', '{}')",
            uuid4(),
            ann.id,
        )
        await Forgetter(privacy_of(pool)).sweep()
        assert await gone()
        assert await pool.fetchval("SELECT count(*) FROM audit_log WHERE user_agent = 'late/1'") == 0


async def test_a_day_later_nobody_looks_any_more(gateway: RunningGateway, pool: asyncpg.Pool) -> None:
    store, owner = privacy_of(pool), str(uuid4())
    await store.end(owner, now())
    assert owner in await store.to_forget(now() - timedelta(days=1))
    await store.forgotten(owner, now())
    assert owner in await store.to_forget(now() - timedelta(days=1))
    assert owner not in await store.to_forget(now() + timedelta(seconds=1))


async def test_no_statement_reads_a_whole_table(gateway: RunningGateway, pool: asyncpg.Pool) -> None:
    """With many rows and no page, each finds an owner's by an index, or the account could not end in time."""
    owner = str(uuid4())
    small = {"mails", "api_keys", "webhook_endpoints", "account_limits", "allowances", "batches"}
    for name, statement in FORGET.items():
        text, values = privacy_store._bound(statement, owner)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}", *values))
        assert name in small or f"Seq Scan on {name}" not in plan, plan

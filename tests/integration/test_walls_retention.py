"""What is kept for how long: jobs by their plan, lines of the audit log by their age alone, by PostgreSQL's clock."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common.bus.control import ControlLog
from common.bus.producer import Producer
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import JobControl, now
from common.settings import CommonSettings
from gateway.database import Database
from gateway.privacy.forget import Forgetter
from gateway.privacy.store import PrivacyStore
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.walls import audit_retention
from gateway.walls.audit_retention import AuditRetention
from gateway.walls.gate import Gate
from gateway.walls.plans import PLANS, with_changes
from gateway.walls.retention import Retention
from gateway.walls.store import FORGET_LINES, WallsStore
from support.platform import fresh_database
from support.waiting import eventually

LINE = """
INSERT INTO audit_log (id, at, actor, action, ip, user_agent, details)
SELECT gen_random_uuid(), now() - $2::interval, $1, 'job.submitted', '192.0.2.1', 'ann/1', '{"id": "x"}'
  FROM generate_series(1, $3)"""


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    made = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(made))
    return made


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)) as pool:
        yield pool


async def test_lines_go_by_their_age_and_an_accounts_end_takes_none(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_retention, "PAGE", 10)
    ended, stays = str(uuid4()), str(uuid4())
    keep, day = timedelta(days=400), timedelta(days=1)
    for owner in (ended, stays):
        await pool.execute(LINE, owner, keep + day, 13)
        await pool.execute(LINE, owner, keep - day, 3)
    database = Database(pool, seconds=10)
    private = PrivacyStore(database)
    await private.end(ended, now())
    await Forgetter(private).sweep()
    count = "SELECT count(*) FROM audit_log WHERE actor = $1"
    assert (await pool.fetchval(count, ended), await pool.fetchval(count, stays)) == (16, 16)

    store = WallsStore(database)
    assert await AuditRetention(store, keep=None).once() == 0
    # Two gateways at the same time: each line once, and neither waits for a row that another holds.
    async with pool.acquire() as other, other.transaction():
        held = await other.fetchval(f"{count.replace('count(*)', 'id')} ORDER BY at LIMIT 1 FOR UPDATE", stays)
        both = await asyncio.gather(*(AuditRetention(store, keep=keep).once() for _ in range(2)))
        assert await other.fetchval("SELECT count(*) FROM audit_log WHERE id = $1", held) == 1
    assert sum(both) == 25

    gone = asyncio.create_task(AuditRetention(store, keep=keep).run(timedelta(milliseconds=20)))

    async def only_new() -> bool:
        return bool(await pool.fetchval(count, stays) == 3)

    await eventually(only_new, 10)
    gone.cancel()
    left = await pool.fetch("SELECT ip, details->>'id' AS id FROM audit_log WHERE actor = $1", ended)
    assert [tuple(row) for row in left] == [(None, None)] * 3, "bare, and there until its own time"


async def test_the_oldest_lines_are_found_by_an_index(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {FORGET_LINES}", timedelta(days=400), 10)
    text = "\n".join(row[0] for row in plan)
    assert "audit_log_at" in text, text
    assert "Index Cond: (at <" in text, text


def test_lines_are_kept_for_four_hundred_days_unless_said(tmp_path: Path) -> None:
    given = {"operator_key_file": tmp_path / "k", "encryption_keys_file": tmp_path / "e", "_env_file": None}
    assert GatewaySettings(**given).audit_days == 400
    assert GatewaySettings(**given, audit_days=0).audit_days == 0


class Log:
    """What is said about jobs, and that nothing was said of them before."""

    def __init__(self) -> None:
        self.said: list[JobControl] = []

    def deleted(self, job: UUID) -> bool:
        return any(event.job_id == job for event in self.said)

    async def publish_many(self, events: Iterable[JobControl]) -> None:
        self.said += events


async def test_a_job_is_due_by_the_clock_that_all_gateways_share(pool: asyncpg.Pool) -> None:
    job, owner = uuid4(), str(uuid4())
    ended = now() - timedelta(days=10)
    add = "INSERT INTO jobs (id, owner, lane, created_at, finished_at) VALUES ($1, $2, 'bulk', $3, $3)"
    await pool.execute(add, job, owner, ended)
    database, log = Database(pool, seconds=10), Log()
    plans = PLANS | {"free": with_changes(PLANS["free"], {"retention_days": 30})}
    for days, due in ((0, 0), (19, 0), (21, 1)):
        walls = WallsStore(database, clock=lambda days=days: now() + timedelta(days=days))
        retention = Retention(
            store=Store(database),
            walls=walls,
            gate=Gate(walls, plans=plans),
            control=cast("ControlLog", log),
            producer=cast("Producer", log),
            pause=0,
        )
        assert await retention.once() == due
    assert [(event.job_id, event.action) for event in log.said] == [(job, "delete")]

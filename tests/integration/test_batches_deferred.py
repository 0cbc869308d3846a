"""Items that may wait stand in front of no others of their owner, and are held in bounded numbers."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.batches.release_store import ReleaseStore
from gateway.batches.work import Place, Work
from gateway.database import Database
from support.platform import fresh_database

OUTSTANDING = 4


@pytest.fixture
async def pool(postgres_server_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    dsn = SecretStr(fresh_database(postgres_server_dsn))
    await migrate(dsn)
    async with open_pool(CommonSettings(database_url=dsn)) as pool:
        yield pool


class Side:
    """One owner's batches, released as the gateway does; what is deferred is held."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.store = ReleaseStore(Database(pool, seconds=5))

    async def batch(self, *priorities: str) -> UUID:
        batch = uuid4()
        await self.pool.execute(
            "INSERT INTO batches (id, owner, status, request, keyed, total, created_at, touched_at)"
            " VALUES ($1, 'ann', 'running', '', false, $2, clock_timestamp(), now())",
            *(batch, len(priorities)),
        )
        await self.pool.execute(
            "INSERT INTO batch_items (batch_id, line, owner, state, kind, source, options)"
            " SELECT $1, line, 'ann', 'waiting', 'blob', 'x', jsonb_build_object('priority', priority)"
            "   FROM unnest($2::text[]) WITH ORDINALITY AS new (priority, line)",
            *(batch, list(priorities)),
        )
        return batch

    async def release(self, works: list[Work]) -> list[tuple[UUID, int]]:
        for work in works:
            if work.options["priority"] == "deferred":
                await self.pool.execute(
                    "INSERT INTO held_jobs (job_id, owner, event, held_at) VALUES ($1, 'ann', '{}', now())", work.job
                )
        await self.store.released(works)
        return [(work.batch, work.line) for work in works]

    async def turn(self, turn: int = 32) -> list[tuple[UUID, int]]:
        return await self.release(await self.store.claim("ann", outstanding=OUTSTANDING, turn=turn))


async def test_a_deferred_batch_stands_in_nobodys_way_and_is_held_a_bounded_part_at_a_time(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    slow = await side.batch(*["deferred"] * 10)
    assert await side.turn() == [(slow, line) for line in range(1, 5)]
    assert await side.turn() == [], "no more are held than may be at work"
    fast = await side.batch(*["bulk"] * 6)
    assert await side.turn() == [(fast, line) for line in range(1, 5)]
    await pool.execute("DELETE FROM held_jobs")
    assert await side.turn() == [], "what was let go is at work like any other"
    await pool.execute("UPDATE batch_items SET state = 'completed' WHERE state = 'released'")
    assert await side.turn() == [(fast, 5), (fast, 6), *((slow, line) for line in range(5, 9))]


async def test_deferred_items_are_held_while_others_are_at_work(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    fast = await side.batch(*["bulk"] * 40)
    slow = await side.batch(*["deferred"] * 6)
    first = [*((fast, line) for line in range(1, 5)), *((slow, line) for line in range(1, 5))]
    assert await side.turn() == first, "their deadlines are looked at once they are held"
    await pool.execute("UPDATE batch_items SET state = 'completed' WHERE batch_id = $1 AND line = 2", slow)
    assert await side.turn() == [(slow, 5)]


async def test_a_look_for_items_that_cost_nothing_goes_past_none_that_found_no_room(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    fast = await side.batch(*["bulk"] * 5)
    slow = await side.batch("deferred")
    found = await side.store.claim_free("ann", outstanding=OUTSTANDING, turn=32, after=None, free=lambda _: True)
    assert await side.release(found.works) == [*((fast, line) for line in range(1, 5)), (slow, 1)]
    await pool.execute("UPDATE batch_items SET state = 'completed' WHERE state = 'released'")
    found = await side.store.claim_free("ann", outstanding=OUTSTANDING, turn=32, after=found.place, free=lambda _: True)
    assert await side.release(found.works) == [(fast, 5)]


async def test_within_a_batch_what_may_wait_comes_last(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    mixed = await side.batch("deferred", "bulk", "deferred", "interactive")
    assert await side.turn(3) == [(mixed, 2), (mixed, 4), (mixed, 1)]


async def test_a_look_for_items_that_cost_nothing_goes_through_both_kinds_once(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    first = await side.batch("deferred", "bulk", "deferred")
    second = await side.batch("bulk", "deferred")
    seen: list[tuple[UUID, int]] = []
    place: Place | None = None
    for _ in range(6):
        found = await side.store.claim_free("ann", outstanding=100, turn=1, after=place, free=lambda _: True)
        assert found.place != place or not found.works
        place = found.place
        seen += await side.release(found.works)
    assert seen == [(first, 2), (second, 1), (first, 1), (first, 3), (second, 2)]

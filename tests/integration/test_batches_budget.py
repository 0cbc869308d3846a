"""Items that cost something, of an owner whose budget is used up: they wait, and stand in nobody's way."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.batches.accept import OverBudget, PutOff
from gateway.batches.release import TURN, Releaser
from gateway.batches.release_store import ReleaseStore
from gateway.batches.spent import LONGEST_SECONDS, Spent
from gateway.batches.work import Work
from gateway.database import Database
from gateway.settings import GatewaySettings
from gateway.walls.gate import Room
from support.platform import fresh_database


@pytest.fixture
async def pool(postgres_server_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    dsn = SecretStr(fresh_database(postgres_server_dsn))
    await migrate(dsn)
    async with open_pool(CommonSettings(database_url=dsn)) as pool:
        yield pool


class Side:
    """A gateway's releaser on real rows; its neighbours let jobs in as long as there is money."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.now = 0.0
        self.spent = {"ann"}
        self.full: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        self.let_in: list[tuple[str, int]] = []
        parts: Any = self
        self.releaser = Releaser(
            store=ReleaseStore(Database(pool, seconds=5)),
            acceptor=parts,
            eraser=parts,
            gate=parts,
            producer=parts,
            settings=GatewaySettings(operator_key_file=Path("key"), encryption_keys_file=Path("keys")),
            spent=Spent(lambda: self.now),
        )

    async def batch(self, owner: str, *, paid: int = 0, free: int = 0) -> UUID:
        """A batch whose last items are the free ones."""
        batch = uuid4()
        await self.pool.execute(
            "INSERT INTO batches (id, owner, status, request, keyed, total, created_at, touched_at)"
            " VALUES ($1, $2, 'running', '', false, $3, clock_timestamp(), now())",
            *(batch, owner, paid + free),
        )
        await self.pool.execute(
            "INSERT INTO batch_items (batch_id, line, owner, state, kind, source, options)"
            " SELECT $1, line, $2, 'waiting', 'blob', 'x', jsonb_build_object('paid', line <= $3)"
            "   FROM generate_series(1, $4::integer) AS line",
            *(batch, owner, paid, paid + free),
        )
        return batch

    async def room(self, owner: str) -> Room:
        return Room(2**31, 0.0)

    def free(self, options: Mapping[str, Any]) -> bool:
        return not options["paid"]

    async def accept(self, work: Work) -> None:
        self.asked.append((work.owner, work.line))
        if work.owner in self.full:
            raise PutOff
        if work.options["paid"] and work.owner in self.spent:
            raise OverBudget
        self.let_in.append((work.owner, work.line))

    async def look(self) -> list[tuple[str, int]]:
        """What a look has let in."""
        self.asked, self.let_in = [], []
        await self.releaser.look(whole=False)
        return sorted(self.let_in)


async def test_what_costs_nothing_goes_past_what_waits_for_money(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    await side.batch("ann", paid=600, free=3)
    await side.batch("ann", paid=2, free=1)
    await side.batch("bob", paid=2)
    assert await side.look() == [("ann", 3), ("ann", 601), ("ann", 602), ("ann", 603), ("bob", 1), ("bob", 2)]
    assert len([one for one in side.asked if one[0] == "ann"]) == TURN + 4, "one turn has found out"
    # Nothing is asked for again until the pause is over; what comes meanwhile and costs nothing goes.
    assert (await side.look(), side.asked) == ([], [])
    await side.batch("ann", paid=1, free=1)
    assert await side.look() == side.asked == [("ann", 2)]


async def test_the_pause_grows_to_ten_minutes_and_ends_when_there_is_money(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    await side.batch("ann", paid=2 * TURN)
    tried = []
    for minute in range(40):
        side.now = 60.0 * minute
        await side.look()
        if side.asked:
            assert len(side.asked) == TURN
            tried.append(minute)
    assert tried == [0, 1, 3, 7, 15, 25, 35]
    side.spent = set()
    side.now += LONGEST_SECONDS
    assert len(await side.look()) == 2 * TURN


async def test_what_costs_nothing_and_meets_another_limit_is_not_passed_over(pool: asyncpg.Pool) -> None:
    side = Side(pool)
    await side.batch("ann", paid=1, free=2)
    await side.batch("ann", free=1)
    await side.batch("ann", paid=1)
    assert await side.look() == [("ann", 1), ("ann", 2), ("ann", 3)]
    await side.batch("ann", free=2)
    side.full = {"ann"}
    assert (await side.look(), sorted(side.asked)) == ([], [("ann", 1), ("ann", 2)])
    side.full = set()
    assert await side.look() == [("ann", 1), ("ann", 2)]

"""Looks of several gateways over the same held jobs: how many they let go, and a row that none of them can read."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import UploadReceived
from common.options import JobOptions
from common.settings import CommonSettings
from gateway.database import Database
from gateway.deferred import Deferred
from support.platform import fresh_database
from support.stories import Story

BACKLOG = 3
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(address))
    return address


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(dsn))) as pool:
        await pool.execute("TRUNCATE jobs, held_jobs")
        yield pool


class Gateways:
    """Some gateways over one database, and what they put into the log."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.several = [
            Deferred(Database(pool, seconds=5), backlog=BACKLOG, margin=HOUR / 6, claim=HOUR / 60, every=HOUR)
            for _ in range(3)
        ]
        self.released: list[UUID] = []
        self.most = 0
        """Jobs that were at work at once."""

    async def hold(self, owner: str) -> UUID:
        event = Story(owner=owner).upload(options=JobOptions(priority="deferred"))
        await self.several[0].hold(event)
        return event.job_id

    async def release(self, event: UploadReceived) -> None:
        await asyncio.sleep(0)
        self.released.append(event.job_id)
        ended = await self.pool.fetchval("SELECT count(*) FROM jobs WHERE finished_at IS NOT NULL")
        self.most = max(self.most, len(self.released) - ended)

    async def look(self) -> None:
        await asyncio.gather(*(one.look(self.release) for one in self.several))

    async def end(self, job: UUID) -> None:
        await self.pool.execute("UPDATE jobs SET finished_at = now() WHERE id = $1", job)


async def test_no_more_are_let_go_than_there_is_room_for_whoever_looks(pool: asyncpg.Pool) -> None:
    gateways = Gateways(pool)
    jobs = {await gateways.hold(f"owner-{number}") for number in range(8)}
    await gateways.look()
    assert len(gateways.released) == BACKLOG
    await gateways.look()
    assert len(gateways.released) == BACKLOG, "nothing has ended"
    for number in range(8):
        await gateways.end(gateways.released[number])
        await gateways.look()
    assert (set(gateways.released), len(gateways.released), gateways.most) == (jobs, 8, BACKLOG)


async def test_a_row_that_nobody_can_read_is_put_aside_and_told(pool: asyncpg.Pool) -> None:
    gateways = Gateways(pool)
    torn = await gateways.hold("ann")
    await pool.execute("UPDATE held_jobs SET event = '{\"options\": 7}' WHERE job_id = $1", torn)
    anns, bobs = await gateways.hold("ann"), await gateways.hold("bob")
    with capture_logs() as logs:
        await gateways.look()
        await gateways.look()
    aside = [line for line in logs if line["event"] == "deferred_job_put_aside"]
    assert [(line["job_id"], line["error"]) for line in aside] == [(str(torn), "ValidationError")]
    assert bobs in gateways.released
    assert torn not in gateways.released
    assert anns in gateways.released, "it does not stand in front of its owner's others"
    again = await pool.fetchval("SELECT claimed_at - now() FROM held_jobs WHERE job_id = $1", torn)
    assert timedelta(minutes=58) < again <= HOUR, "it is looked at again, perhaps by a newer version"

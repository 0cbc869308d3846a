"""An account that is erased, on a real PostgreSQL: its jobs are asked to go, then nothing is left, late or not."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import JobControl, ProofDeleted, UsageRecorded
from common.settings import CommonSettings
from recorder.accounts import AccountEraser
from recorder.accountstore import AccountStore
from support.platform import fresh_database
from support.recording import Recorder
from support.stories import START, Story

ASKED = START + timedelta(hours=1)


class Asked:
    """An account with one finished job, whose owner asked for its erasure."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.owner = str(uuid4())
        self.story = Story(owner=self.owner)
        self.used = self.story.usage()
        self.now = ASKED
        self.eraser = AccountEraser(
            accounts=AccountStore(recorder.pool), blobs=recorder.blobs, log=recorder.log, clock=self.clock
        )

    def clock(self) -> datetime:
        return self.now

    async def begin(self) -> "Asked":
        await self.recorder.say(self.story, "a secret")
        await self.recorder.record(self.story.upload(), self.used, self.story.transcript())
        await self.recorder.blobs.write(f"users/{self.owner}/incoming/left.wav", b"RIFF")
        await self.recorder.blobs.write(f"uploads/{self.owner}/{uuid4()}/begun.json", b"{}")
        await self.recorder.pool.execute(
            "INSERT INTO webhook_deliveries (id, job_id, owner, event_id, event_type, url, body, created_at)"
            " VALUES ($1, $2, $3, $1, 'job.completed', 'https://example.com/x', 'a secret', $4)",
            uuid4(),
            self.story.job,
            self.owner,
            START,
        )
        await self.recorder.pool.execute(
            "INSERT INTO erased_accounts (owner, asked_at, forgotten_at, jobs) VALUES ($1, $2, $2, 1)",
            self.owner,
            ASKED,
        )
        return self

    async def step(self, *, late: bool = False) -> int:
        """One step of the eraser, and what the recorder makes of the words it said about jobs."""
        before = len(self.recorder.log.published)
        left = await self.eraser.sweep(late=late)
        said = [event for event in self.recorder.log.published[before:] if isinstance(event, JobControl)]
        if said:
            await self.recorder.record(*said)
            await self.recorder.eraser.sweep()
        return left

    async def rows(self) -> dict[str, int]:
        counts = {}
        for table in ("jobs", "usage", "webhook_deliveries"):
            counts[table] = await self.recorder.pool.fetchval(
                f"SELECT count(*) FROM {table} WHERE owner = $1",
                self.owner,
            )
        return counts

    def proofs(self) -> list[ProofDeleted]:
        return [
            event
            for event in self.recorder.log.published
            if isinstance(event, ProofDeleted) and event.account and event.owner == self.owner
        ]


@pytest.fixture(scope="module")
async def pool(postgres_server_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    dsn = SecretStr(fresh_database(postgres_server_dsn))
    await migrate(dsn)
    async with open_pool(CommonSettings(database_url=dsn)) as opened:
        yield opened


@pytest.fixture
async def asked(pool: asyncpg.Pool) -> Asked:
    await pool.execute("DELETE FROM erased_accounts")
    return await Asked(Recorder(pool)).begin()


async def test_nothing_is_left_and_the_proof_says_how_much_went(asked: Asked) -> None:
    assert await asked.step() == 1
    assert asked.proofs() == []
    assert await asked.step() == 0
    assert await asked.rows() == {"jobs": 0, "usage": 0, "webhook_deliveries": 0}
    for folder in ("users", "uploads"):
        assert [blob.name async for blob in asked.recorder.blobs.list(f"{folder}/{asked.owner}/")] == []
    (proof,) = asked.proofs()
    assert (proof.jobs, proof.rows, proof.blobs, proof.tombstones) == (1, 2, 2, 1)
    assert str(proof.job_id) == asked.owner
    (used,) = [key for topic, key in asked.recorder.log.forgotten if topic == UsageRecorded.type]
    assert used == str(asked.used.usage_id)


async def test_another_owner_keeps_everything(asked: Asked) -> None:
    other = Story(owner=str(uuid4()))
    await asked.recorder.say(other, "mine")
    await asked.recorder.record(other.upload(), other.usage(), other.transcript())
    while await asked.step(late=True):
        pass
    assert await asked.recorder.job(other) is not None
    assert await asked.recorder.rows("SELECT owner FROM usage WHERE owner = $1", other.owner) == [
        {"owner": other.owner}
    ]


async def test_a_job_that_comes_late_goes_as_well(asked: Asked) -> None:
    while await asked.step():
        pass
    late = Story(owner=asked.owner)
    await asked.recorder.record(late.upload(), late.usage())
    assert await asked.step(late=False) == 0
    assert (await asked.rows())["jobs"] == 1
    assert await asked.step(late=True) == 1
    assert await asked.step(late=True) == 0
    assert await asked.rows() == {"jobs": 0, "usage": 0, "webhook_deliveries": 0}


async def test_bytes_that_come_late_go_a_day_later(asked: Asked) -> None:
    while await asked.step():
        pass
    await asked.recorder.blobs.write(f"users/{asked.owner}/originals/late", b"RIFF")
    await asked.step(late=True)
    assert await asked.recorder.blobs.stat(f"users/{asked.owner}/originals/late") is not None
    asked.now = ASKED + timedelta(days=1, seconds=1)
    await asked.step(late=True)
    assert await asked.recorder.blobs.stat(f"users/{asked.owner}/originals/late") is None
    assert len(asked.proofs()) == 2
    await asked.step(late=True)
    assert len(asked.proofs()) == 2


async def test_nothing_is_proved_while_a_job_is_still_to_be_swept(asked: Asked) -> None:
    await asked.eraser.sweep(late=False)
    await asked.recorder.record(asked.story.control("delete", at=99))
    assert await asked.eraser.sweep(late=False) == 1
    assert asked.proofs() == []
    await asked.recorder.eraser.sweep()
    assert await asked.eraser.sweep(late=False) == 0
    assert len(asked.proofs()) == 1


async def test_nothing_is_proved_while_the_gateway_has_something_left(asked: Asked) -> None:
    await asked.recorder.pool.execute("UPDATE erased_accounts SET forgotten_at = NULL")
    for _ in range(3):
        assert await asked.step() == 1
    assert asked.proofs() == []
    await asked.recorder.pool.execute("UPDATE erased_accounts SET forgotten_at = $1", ASKED)
    assert await asked.step() == 0
    assert len(asked.proofs()) == 1

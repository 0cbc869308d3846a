"""Counting in PostgreSQL: the bucket beside a model of it, one count a job, months, money, and counts made good."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from common.bus.producer import BusUnavailable
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.engines import DEEPGRAM
from common.events import BlobRef, UploadReceived
from common.options import SegmentPlan
from common.settings import CommonSettings
from gateway.database import Database, StoreBusy, StoreUnavailable
from gateway.problems import Problem
from gateway.walls.gate import Gate
from gateway.walls.plans import Limits
from gateway.walls.price import Price
from gateway.walls.recount import recount
from gateway.walls.standing import Standing
from gateway.walls.store import WallsStore
from support.faulty_proxy import faulty_proxy
from support.platform import fresh_database

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAID = Price(0.006, paid=True)


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(address))
    return address


@dataclass
class Clock:
    """The time that is counted by."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def on(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Side:
    """Some gateways' walls over one database, and an owner nobody else has."""

    walls: list[WallsStore]
    pool: asyncpg.Pool
    clock: Clock
    owner: str = field(default_factory=lambda: str(uuid4()))

    async def admit(self, limits: Limits, job: UUID | None = None, **more: Any) -> Standing:
        return await self.walls[0].admit(self.owner, job or uuid4(), limits, **({"price": 0.0, "paid": False} | more))

    async def look(self, limits: Limits) -> Standing:
        return await self.walls[0].admit(self.owner, None, limits, price=0.0, paid=False)

    async def row(self, job: UUID, *, created: datetime | None = None, **columns: object) -> None:
        """Open a job's row, as the gateway and the recorder do."""
        values = {"id": job, "owner": self.owner, "lane": "bulk", "created_at": created or self.clock.now, **columns}
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self.pool.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({places})", *values.values())

    async def end(self, job: UUID) -> None:
        await self.pool.execute("UPDATE jobs SET finished_at = $2 WHERE id = $1", job, self.clock.now)

    async def used(self, job: UUID, *, seconds: float = 0.0, usd: float = 0.0, at: datetime | None = None) -> None:
        await self.pool.execute(
            """INSERT INTO usage (id, job_id, owner, service, provider, endpoint, audio_seconds, tokens, cost_usd, at)
               VALUES ($1, $2, $3, 'transcription', 'openai', '/v1', $4, 0, $5, $6)""",
            *(uuid4(), job, self.owner, seconds, Decimal(repr(usd)), at or self.clock.now),
        )

    def gate(self, limits: Limits, **more: Any) -> Gate:
        return Gate(self.walls[0], plans={"free": limits, "operator": Limits()}, **more)


@pytest.fixture
async def side(dsn: str) -> AsyncIterator[Side]:
    """Two gateways."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(open_pool(CommonSettings(database_url=SecretStr(dsn)))) for _ in range(2)
        ]
        yield Side([WallsStore(Database(pool, seconds=10), clock=clock) for pool in pools], pools[0], clock)


@pytest.fixture
def loop_of(dsn: str) -> Iterator[tuple[asyncio.Runner, asyncpg.Pool]]:
    """A loop with a database of its own, for tests that hypothesis runs again and again."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def opened() -> asyncpg.Pool:
            return await stack.enter_async_context(open_pool(CommonSettings(database_url=SecretStr(dsn))))

        yield runner, runner.run(opened())
        runner.run(stack.aclose())


class TestBucket:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        per_hour=st.sampled_from([1, 2, 7, 13, 50, 360]),
        pauses=st.lists(st.integers(0, 5400), min_size=1, max_size=25),
    )
    def test_it_lets_through_what_a_bucket_does(
        self, loop_of: tuple[asyncio.Runner, asyncpg.Pool], per_hour: int, pauses: list[int]
    ) -> None:
        runner, pool = loop_of
        clock, limits, owner = Clock(), Limits(jobs_per_hour=per_hour), str(uuid4())
        walls = WallsStore(Database(pool, seconds=10), clock=clock)
        step = 3_600_000_000 // per_hour  # microseconds, rounded in the owner's favour
        tokens, at = 3_600_000_000, clock.now

        async def sent() -> None:
            nonlocal tokens, at
            for pause in pauses:
                clock.on(seconds=pause)
                tokens = min(3_600_000_000, tokens + (clock.now - at) // timedelta(microseconds=1))
                at = clock.now
                for _ in range(3):
                    standing = await walls.admit(owner, uuid4(), limits, price=0.0, paid=False)
                    assert standing.fresh == (tokens >= step)
                    if tokens >= step:
                        tokens -= step
                    else:
                        assert standing.wait == pytest.approx((step - tokens) / 1e6)
                    assert standing.bucket == tokens // step
                    assert standing.bucket_full == pytest.approx((3_600_000_000 - tokens) / 1e6)

        runner.run(sent())

    @pytest.mark.parametrize("per_hour", [1, 3, 7, 11, 13, 17, 50])
    async def test_as_many_as_it_says_go_at_once(self, side: Side, per_hour: int) -> None:
        limits = Limits(jobs_per_hour=per_hour)
        assert [(await side.admit(limits)).verdict for _ in range(per_hour + 1)] == ["admitted"] * per_hour + ["rate"]

    async def test_retry_after_is_true(self, side: Side) -> None:
        limits = Limits(jobs_per_hour=50)
        for _ in range(50):
            await side.admit(limits)
        with pytest.raises(Problem) as refused:
            await side.gate(limits).admit(side.owner, uuid4(), None)
        after = int((refused.value.headers or {})["Retry-After"])
        assert after == 72
        side.clock.on(seconds=after - 1)
        assert (await side.admit(limits)).verdict == "rate"
        side.clock.on(seconds=1)
        assert (await side.admit(limits)).verdict == "admitted"

    async def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_hour(self, side: Side) -> None:
        limits = Limits(jobs_per_hour=2)
        await side.admit(limits)
        side.clock.on(days=-30)
        standing = await side.admit(limits)
        assert (standing.verdict, standing.wait) == ("rate", 1800.0)
        side.clock.on(seconds=1800)
        assert (await side.admit(limits)).verdict == "admitted"


class TestOneCountAJob:
    async def test_a_job_counts_once_however_often_it_is_asked_for(self, side: Side) -> None:
        limits, job = Limits(jobs_per_month=2), uuid4()
        assert [(await side.admit(limits, job)).fresh for _ in range(3)] == [True, False, False]
        await side.row(job)
        standing = await side.admit(limits, job)
        assert (standing.verdict, standing.fresh, standing.month_jobs) == ("known", False, 1)

    async def test_a_repeat_is_let_through_where_a_new_job_would_not_be(self, side: Side) -> None:
        limits, job = Limits(jobs_per_month=1, jobs_per_hour=1, outstanding_jobs=1), uuid4()
        await side.admit(limits, job)
        assert (await side.admit(limits)).verdict == "jobs"
        assert (await side.admit(limits, job)).verdict == "known"

    async def test_what_failed_is_given_back_and_what_is_there_is_not(self, side: Side) -> None:
        limits = Limits(jobs_per_month=5, jobs_per_hour=5, outstanding_jobs=5)
        gate, there = side.gate(limits), uuid4()
        before = await side.look(limits)

        async def failing(job: UUID, *, recorded: bool = False) -> None:
            async with gate.held(side.owner, job, None):
                if recorded:
                    await side.row(job)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await failing(uuid4())
        assert await side.look(limits) == before
        with pytest.raises(RuntimeError):
            await failing(there, recorded=True)  # its event was in the log all the same
        assert ((await side.look(limits)).month_jobs, (await side.look(limits)).outstanding) == (1, 1)
        with pytest.raises(RuntimeError):
            await failing(there)
        assert (await side.look(limits)).month_jobs == 1

    @pytest.mark.parametrize("fails", [0, 1])
    async def test_of_twins_at_two_gateways_either_may_fail_and_the_job_still_counts(
        self, side: Side, fails: int
    ) -> None:
        limits, job = Limits(jobs_per_month=5, jobs_per_hour=5, outstanding_jobs=5), uuid4()
        before = await side.look(limits)
        twins = [Gate(walls, plans={"free": limits}).held(side.owner, job, None) for walls in side.walls]
        for twin in twins:
            await twin.__aenter__()
        failure = RuntimeError()
        await twins[fails].__aexit__(RuntimeError, failure, None)
        standing = await side.look(limits)
        assert (standing.month_jobs, standing.bucket, standing.outstanding) == (1, 4, 1)
        await twins[1 - fails].__aexit__(RuntimeError, failure, None)
        assert await side.look(limits) == before

    async def test_a_job_that_was_counted_twice_over_is_given_back_whole(self, side: Side) -> None:
        """Options in the body are looked at a second time, and then the log is away."""
        limits, job = Limits(jobs_per_month=5, budget_usd=1.0), uuid4()
        gate = side.gate(limits, engines=(DEEPGRAM,))

        async def failing() -> None:
            async with gate.held(side.owner, job, None) as admission:
                event = UploadReceived(
                    job_id=job,
                    owner=side.owner,
                    source=BlobRef(name="x"),
                    sha256="0" * 64,
                    plan=SegmentPlan(provider="deepgram"),
                )
                async with gate.settled(event, admission):
                    raise BusUnavailable

        with pytest.raises(BusUnavailable):
            await failing()
        assert (await side.look(limits)).month_jobs == 0

    async def test_two_gateways_admit_exactly_as_many_as_there_are(self, side: Side) -> None:
        for limits, most in (
            (Limits(jobs_per_hour=20), 20),
            (Limits(jobs_per_month=15), 15),
            (Limits(outstanding_jobs=10), 10),
            (Limits(jobs_per_hour=30, jobs_per_month=25, outstanding_jobs=12), 12),
        ):
            owner, jobs = str(uuid4()), [uuid4() for _ in range(60)]
            answers = await asyncio.gather(
                *(
                    walls.admit(owner, job, limits, price=0.0, paid=False)
                    for job in jobs
                    for walls in side.walls  # and every job is sent to both
                )
            )
            assert sum(answer.fresh for answer in answers) == most
            admitted = {
                job
                for job, answer in zip([j for j in jobs for _ in side.walls], answers, strict=True)
                if answer.verdict in {"admitted", "known"}
            }
            assert len(admitted) == most


class TestAtOnce:
    async def test_uploads_and_rows_count_until_they_end(self, side: Side) -> None:
        limits, jobs = Limits(outstanding_jobs=2), [uuid4() for _ in range(2)]
        for job in jobs:
            await side.admit(limits, job)
        assert (await side.admit(limits)).verdict == "outstanding"
        for job in jobs:
            await side.row(job)
        assert (await side.admit(limits)).verdict == "outstanding"
        await side.end(jobs[0])
        assert [(await side.admit(limits)).verdict for _ in range(2)] == ["admitted", "outstanding"]

    async def test_a_job_erased_before_it_ended_is_not_outstanding(self, side: Side) -> None:
        limits, job = Limits(outstanding_jobs=1), uuid4()
        await side.admit(limits, job)
        await side.pool.execute("INSERT INTO erased_jobs (job_id, erased_at) VALUES ($1, now())", job)
        await side.walls[0].confirm()
        standing = await side.admit(limits)
        assert (standing.verdict, standing.month_jobs) == ("admitted", 2)

    async def test_who_sends_many_is_told_how_many_may_go_now(self, side: Side) -> None:
        limits = Limits(outstanding_jobs=3, jobs_per_hour=50, jobs_per_month=5)
        gate = side.gate(limits)
        assert (await gate.room(side.owner)).jobs == 3
        jobs = [uuid4() for _ in range(3)]
        for job in jobs:
            await side.admit(limits, job)
            await side.row(job)
        full = await gate.room(side.owner)
        assert (full.jobs, full.wait) == (0, 10.0)
        for job in jobs:
            await side.end(job)
        assert (await gate.room(side.owner)).jobs == 2
        assert (await gate.room("operator")).jobs > 1_000_000


class TestMonth:
    async def test_the_next_month_begins_at_midnight_utc(self, side: Side) -> None:
        limits = Limits(jobs_per_month=1)
        side.clock.now = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
        await side.admit(limits)
        refused = await side.admit(limits)
        assert (refused.verdict, refused.month_left) == ("jobs", 1.0)
        side.clock.on(seconds=1)
        standing = await side.admit(limits)
        assert (standing.verdict, standing.month_jobs) == ("admitted", 1)
        assert standing.month_ends == datetime(2027, 1, 1, tzinfo=UTC)

    async def test_what_began_last_month_is_not_given_back_to_this_one(self, side: Side) -> None:
        limits, job = Limits(jobs_per_month=9), uuid4()
        side.clock.now = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
        await side.admit(limits, job)
        side.clock.on(seconds=2)
        await side.admit(limits)
        await side.walls[0].give_back(side.owner, job, limits)
        assert (await side.look(limits)).month_jobs == 1

    async def test_minutes_are_those_of_usage_this_month_and_of_what_is_under_way(self, side: Side) -> None:
        limits, job = Limits(minutes_per_month=10), uuid4()
        await side.used(uuid4(), seconds=9000, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
        await side.used(uuid4(), seconds=300)
        assert (await side.admit(limits, job)).used_seconds == 300
        await side.row(job, duration=400.0)
        await side.used(job, seconds=150)
        side.clock.on(seconds=11)  # sums are ten seconds old at most
        standing = await side.admit(limits)
        assert (standing.verdict, standing.used_seconds) == ("seconds", 700)
        side.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
        assert (await side.look(limits)).used_seconds == 250  # what is still under way is this month's


class TestBudget:
    async def test_what_costs_is_refused_once_the_budget_is_spent_and_what_does_not_is_not(self, side: Side) -> None:
        limits = Limits(budget_usd=1.0)
        gate = side.gate(limits)
        await side.used(uuid4(), usd=0.99)
        await gate.admit(side.owner, uuid4(), PAID)
        await side.used(uuid4(), usd=0.01)
        side.clock.on(seconds=11)
        with pytest.raises(Problem) as refused:
            await gate.admit(side.owner, uuid4(), PAID)
        assert refused.value.kind.status == 402
        assert refused.value.document["resets_at"] == "2026-12-01T00:00:00+00:00"
        assert (await gate.admit(side.owner, uuid4(), Price())).standing is not None
        side.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
        await gate.admit(side.owner, uuid4(), PAID)

    async def test_jobs_under_way_count_by_the_catalogues_price_as_soon_as_their_length_is_known(
        self, side: Side
    ) -> None:
        limits, job = Limits(budget_usd=1.0), uuid4()
        await side.admit(limits, job, price=0.006, paid=True)
        await side.row(job)
        side.clock.on(seconds=11)
        assert (await side.admit(limits, price=0.006, paid=True)).verdict == "admitted"
        await side.pool.execute("UPDATE jobs SET duration = 9960 WHERE id = $1", job)  # 166 minutes
        side.clock.on(seconds=11)
        standing = await side.admit(limits, price=0.006, paid=True)
        assert (standing.verdict, standing.used_usd) == ("admitted", pytest.approx(0.996))
        await side.pool.execute("UPDATE jobs SET duration = 10020 WHERE id = $1", job)
        side.clock.on(seconds=11)
        standing = await side.admit(limits, price=0.006, paid=True)
        assert (standing.verdict, standing.used_usd) == ("budget", pytest.approx(1.002))
        await side.used(job, seconds=10020, usd=0.5)  # a contract of one's own: the bill counts, not the list
        await side.end(job)
        side.clock.on(seconds=11)
        assert (await side.admit(limits, price=0.006, paid=True)).verdict == "admitted"

    async def test_options_that_come_with_the_body_are_looked_at_when_they_are_there(self, side: Side) -> None:
        limits, job = Limits(budget_usd=1.0, jobs_per_month=5), uuid4()
        gate = side.gate(limits)
        await side.used(uuid4(), usd=2)

        async def uploaded() -> None:
            async with gate.held(side.owner, job, None) as admission:
                assert not admission.priced
                await gate.admit(side.owner, job, PAID)

        with pytest.raises(Problem) as refused:
            await uploaded()
        assert refused.value.kind.slug == "budget-used-up"
        assert (await side.look(limits)).month_jobs == 0


class TestEveryWayIn:
    """What `gateway.acceptance.Acceptance` asks about uploads in pieces, addresses and items of batches."""

    def event(self, side: Side, *, provider: str = "pocketsphinx", same_as: UUID | None = None) -> UploadReceived:
        return UploadReceived(
            job_id=uuid4(),
            owner=side.owner,
            source=BlobRef(name="x"),
            sha256="0" * 64,
            plan=SegmentPlan(provider=provider),
            same_as=same_as,
        )

    async def test_what_was_not_counted_before_its_bytes_is_counted_before_it_is_published(self, side: Side) -> None:
        limits = Limits(jobs_per_month=1)
        gate, event = side.gate(limits), self.event(side)

        async def published(event: UploadReceived, failure: Exception | None = None) -> None:
            async with gate.settled(event, None):
                if failure is not None:
                    raise failure

        with pytest.raises(BusUnavailable):
            await published(event, BusUnavailable())
        assert (await side.look(limits)).month_jobs == 0
        for _ in range(2):
            await published(event)
        assert (await side.look(limits)).month_jobs == 1
        with pytest.raises(Problem) as refused:
            await published(self.event(side))
        assert refused.value.kind.slug == "quota-exceeded"

    async def test_a_copy_of_what_was_done_before_costs_nothing(self, side: Side) -> None:
        gate = side.gate(Limits(budget_usd=0.0), engines=(DEEPGRAM,))
        with pytest.raises(Problem):
            await gate.settled(self.event(side, provider="deepgram"), None).__aenter__()
        async with gate.settled(self.event(side, provider="deepgram", same_as=uuid4()), None):
            pass


class TestMadeGood:
    async def test_jobs_taken_without_postgres_are_counted_from_their_rows(self, side: Side) -> None:
        limits = Limits(jobs_per_month=9)
        counted = uuid4()
        await side.admit(limits, counted)
        await side.row(counted)
        for _ in range(3):
            await side.row(uuid4())
        await recount(side.walls[0])
        assert (await side.look(limits)).month_jobs == 4
        await asyncio.gather(*(recount(walls) for walls in side.walls))
        assert (await side.look(limits)).month_jobs == 4

    async def test_a_count_whose_job_never_came_is_given_back_after_an_hour(self, side: Side) -> None:
        limits, lost, late = Limits(jobs_per_month=9, outstanding_jobs=9), uuid4(), uuid4()
        await side.admit(limits, lost)
        side.clock.on(minutes=59)
        await side.admit(limits, late)
        await recount(side.walls[0])
        assert (await side.look(limits)).month_jobs == 2
        side.clock.on(minutes=2)
        await recount(side.walls[0])
        standing = await side.look(limits)
        assert (standing.month_jobs, standing.outstanding) == (1, 1)
        await side.row(lost, created=side.clock.now)  # it came after all
        await recount(side.walls[0])
        assert (await side.look(limits)).month_jobs == 2

    async def test_an_owner_who_deletes_what_was_done_has_no_more_jobs_for_it(self, side: Side) -> None:
        limits, job = Limits(jobs_per_month=1), uuid4()
        await side.admit(limits, job)
        await side.row(job)
        await recount(side.walls[0])
        await side.pool.execute("DELETE FROM jobs WHERE id = $1", job)
        await recount(side.walls[0])
        assert (await side.admit(limits)).verdict == "jobs"

    async def test_a_new_month_that_begins_with_an_outage_is_counted_too(self, side: Side) -> None:
        limits = Limits(jobs_per_month=9)
        await side.admit(limits)
        side.clock.now = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
        await side.row(uuid4())
        await recount(side.walls[0])
        assert (await side.look(limits)).month_jobs == 1


class TestWithoutPostgres:
    async def test_everybody_goes_on_and_nobody_waits_twice(self, side: Side, unused_tcp_port: int) -> None:
        dead = CommonSettings(database_url=SecretStr(f"postgresql://x@127.0.0.1:{unused_tcp_port}/x"))
        now = 0.0
        async with open_pool(dead) as pool:
            looks = 0

            class Counting(Database):
                def connection(self) -> Any:
                    nonlocal looks
                    looks += 1
                    return super().connection()

            walls = WallsStore(Counting(pool, seconds=1))
            gate = Gate(walls, plans={"free": Limits(jobs_per_hour=1)}, clock=lambda: now)
            for _ in range(5):
                async with gate.held(side.owner, uuid4(), None) as admission:
                    assert admission.standing is None
            assert looks == 1
            now = 6.0
            await gate.admit(side.owner, uuid4(), None)
            assert looks == 2

    async def test_frozen_it_holds_up_nobody_for_long(self, side: Side, dsn: str) -> None:
        """Also not those who wait behind others of the same owner."""
        async with (
            faulty_proxy(dsn, speaks="postgres") as (proxy, through),
            open_pool(CommonSettings(database_url=SecretStr(through))) as pool,
        ):
            gate = Gate(WallsStore(Database(pool, seconds=0.4)), plans={"free": Limits(jobs_per_hour=50)}, patience=9.0)
            assert (await gate.admit(side.owner, uuid4(), None)).standing is not None
            await proxy.inject("half-open")
            async with asyncio.timeout(3):  # and not 0.4 s for each two of them
                admissions = await asyncio.gather(
                    *(gate.admit(owner, uuid4(), None) for owner in [side.owner] * 30 + [str(uuid4())])
                )
            assert {admission.standing for admission in admissions} == {None}


class TestBusyPostgres:
    async def test_who_waits_for_a_lock_is_put_off_and_the_others_are_counted(self, side: Side) -> None:
        limits = Limits(jobs_per_month=50)
        gate = Gate(side.walls[1], plans={"free": limits}, patience=0.2)
        await gate.admit(side.owner, uuid4(), None)
        async with side.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM allowances WHERE owner = $1 FOR UPDATE", side.owner)
            asked = [asyncio.create_task(gate.admit(side.owner, uuid4(), None)) for _ in range(30)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert not all(task.done() for task in asked)
            for _ in range(20):
                assert (await gate.admit(str(uuid4()), uuid4(), None)).standing is not None
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreBusy}
        assert (await gate.admit(side.owner, uuid4(), None)).standing is not None

    async def test_who_comes_to_no_connection_is_told_so(self, dsn: str) -> None:
        async with open_pool(CommonSettings(database_url=SecretStr(dsn)), size=1) as pool:
            database = Database(pool, seconds=1.5)
            await database.ping()

            async def slow() -> None:
                async with database.connection() as connection:
                    await connection.execute("SELECT pg_sleep(0.6)")

            outcomes = await asyncio.gather(*(slow() for _ in range(6)), return_exceptions=True)
            assert None in outcomes
            assert {type(outcome) for outcome in outcomes} == {type(None), StoreBusy}
            # The same wait behind one that gets no answer: the server may be frozen.
            database = Database(pool, seconds=0.4)
            await database.ping()
            async with pool.acquire():
                with pytest.raises(StoreUnavailable) as away:
                    await database.ping()
            assert type(away.value) is StoreUnavailable


async def test_an_accounts_counts_are_found_by_an_index(side: Side) -> None:
    async with side.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        lines = await connection.fetch("EXPLAIN DELETE FROM counted_jobs WHERE owner = 'nobody'")
    assert "counted_jobs_owner" in "\n".join(line[0] for line in lines)


async def test_held_jobs_are_not_under_way(side: Side) -> None:
    limits, jobs = Limits(outstanding_jobs=2), [uuid4() for _ in range(3)]
    for job in jobs:
        await side.row(job)
        await side.pool.execute(
            "INSERT INTO held_jobs (job_id, owner, event, held_at) VALUES ($1, $2, '{}', now())", job, side.owner
        )
    assert (await side.look(limits)).outstanding == 0
    assert (await side.admit(limits)).verdict == "admitted"
    await side.pool.execute("DELETE FROM held_jobs WHERE job_id = $1", jobs[0])
    assert (await side.admit(limits)).verdict == "outstanding", "one was let go and is under way now"

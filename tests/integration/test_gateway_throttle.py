"""Guessing passwords, counted over several gateways: exact, outlasting a restart, and no way to keep another out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import asyncpg
import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.database import Database
from gateway.identity.throttle import Limit, Throttle, login_limits
from gateway.problems import Problem
from support.gateway import prepare, problem, running_gateway
from support.people import call, somebody, visitor
from support.platform import fresh_database


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@asynccontextmanager
async def throttles(dsn: str, number: int) -> AsyncIterator[list[Throttle]]:
    """One for each gateway there might be."""
    settings = CommonSettings(database_url=SecretStr(dsn), _env_file=None)
    async with AsyncExitStack() as opened:
        pools = [await opened.enter_async_context(open_pool(settings, size=4)) for _ in range(number)]
        yield [Throttle(Database(pool, seconds=20)) for pool in pools]


async def attempts(throttle: Throttle, limits: list[Limit], number: int) -> Counter[str]:
    async def attempt() -> str:
        return "judged" if await wait(throttle, limits) is None else "refused"

    return Counter(await asyncio.gather(*(attempt() for _ in range(number))))


async def wait(throttle: Throttle, limits: list[Limit]) -> int | None:
    """The seconds that one more attempt has to wait; None when it has not."""
    try:
        await throttle.take(limits)
    except Problem as refused:
        return int((refused.headers or {})["Retry-After"])
    return None


async def pass_time(dsn: str, seconds: float) -> None:
    """Let time pass for every limit, rather than wait for it."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE throttles SET at = at - $1 * interval '1 second'", seconds)
    await connection.execute("UPDATE throttles SET until = until - $1 * interval '1 second'", seconds)
    await connection.close()


async def test_attempts_at_the_same_moment_over_three_gateways_are_counted_exactly(database: str) -> None:
    limits = login_limits("ann", "192.0.2.1", at_home=False)
    async with throttles(database, 3) as gateways:
        counted = sum((await asyncio.gather(*(attempts(each, limits, 50) for each in gateways))), Counter())
    assert counted == {"judged": 5, "refused": 145}


async def test_waits_double_up_to_a_quarter_of_an_hour_and_are_forgotten(database: str) -> None:
    limit = Limit("doubling", free=2)
    waits = []
    async with throttles(database, 1) as (throttle,):
        await throttle.take([limit])
        for _ in range(12):
            await throttle.take([limit])
            waits.append(await wait(throttle, [limit]))
            await pass_time(database, waits[-1] or 0)
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        await pass_time(database, 3601)
        assert await attempts(throttle, [limit], 2) == {"judged": 2}


async def test_what_is_forgotten_by_and_by_lets_an_office_mistype_all_day(database: str) -> None:
    limit = Limit("office", free=3, decay=60)
    async with throttles(database, 1) as (throttle,):
        for _ in range(30):
            for _ in range(2):
                await throttle.take([limit])
            await pass_time(database, 90)
            await throttle.take([limit])
            await pass_time(database, 91)
        # A clock set back forgives nothing and adds nothing; a guesser waits as ever.
        guessing = Limit("guessing", free=3, decay=60)
        await throttle.take([guessing])
        await pass_time(database, -86400)
        assert await attempts(throttle, [guessing], 5) == {"judged": 2, "refused": 3}


async def test_a_refused_attempt_counts_under_no_limit(database: str) -> None:
    async with throttles(database, 1) as (throttle,):
        one, other = Limit("a full one", free=1), Limit("z beside it", free=3)
        await throttle.take([one])
        assert await attempts(throttle, [other, one], 20) == {"refused": 20}
        assert await attempts(throttle, [other], 4) == {"judged": 3, "refused": 1}


async def test_many_addresses_cannot_keep_a_person_out_of_where_they_usually_are(database: str) -> None:
    async with throttles(database, 2) as gateways:
        for number in range(60):
            limits = login_limits("victim", f"203.0.113.{number}", at_home=False)
            await attempts(gateways[number % 2], limits, 4)
        # Strangers wait, though for a minute at most; who was there before does not.
        assert 1 <= (await wait(gateways[0], login_limits("victim", "192.0.2.77", at_home=False)) or 0) <= 60
        assert await wait(gateways[0], login_limits("victim", "192.0.2.77", at_home=True)) is None


async def test_a_clock_set_back_locks_nobody_out(database: str) -> None:
    limit = Limit("clock", free=1)
    async with throttles(database, 1) as (throttle,):
        await throttle.take([limit])
        assert not await throttle.allowed(limit)
        await pass_time(database, -86400)
        assert await throttle.allowed(limit)


async def test_guessing_is_slowed_at_every_gateway_and_after_a_restart(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("throttle")
    settings = {"trusted_proxies": "127.0.0.0/8"}
    async with (
        running_gateway(kafka_bootstrap, dsn, folder, **settings) as first,
        somebody(first.url) as person,
        visitor(first.url) as guesser,
    ):
        # A typing error or two, and then the right one: nobody is slowed.
        wrong = {"login": person.email, "password": "Wrong-horse-7"}
        for _ in range(4):
            await call(guesser, "POST", "/auth/login", wrong, status=401)
        await call(guesser, "POST", "/auth/login", wrong | {"password": person.password})
        statuses = await asyncio.gather(*(status_of(guesser, wrong) for _ in range(12)))
        assert Counter(statuses) == {401: 5, 429: 7}
    async with (
        running_gateway(kafka_bootstrap, dsn, folder, **settings) as second,
        visitor(second.url) as elsewhere,
    ):
        same_place = {"X-Forwarded-For": guesser.headers["X-Forwarded-For"]}
        # Also the right password is not judged now; its owner, from where they are, comes in.
        right = wrong | {"password": person.password}
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE throttles SET until = now() + interval '30 s' WHERE attempts >= 5")
        await connection.close()
        async with elsewhere.post("/auth/login", json=right, headers=same_place) as answer:
            document = await problem(answer, 429, "too-many-attempts")
            assert 20 <= int(answer.headers["Retry-After"]) == document["retry_after"] <= 30
        await call(elsewhere, "POST", "/auth/login", right)


async def status_of(http: aiohttp.ClientSession, body: dict[str, str]) -> int:
    async with http.post("/auth/login", json=body) as answer:
        return answer.status

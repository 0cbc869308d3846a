"""Jobs that may wait: held in PostgreSQL until there is room or their time has come, and let go once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from support.ending_stage import EndingStage, ending_stage
from support.gateway import DEAD_DSN, RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database
from support.waiting import eventually


@pytest.fixture(scope="module")
async def dsn(kafka_bootstrap: str, postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, address)
    return address


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    async with running_gateway(
        kafka_bootstrap, dsn, tmp_path_factory.mktemp("deferred"), batch_poll_seconds=0.3, deferred_backlog=2
    ) as running:
        yield running


@pytest.fixture
async def stage(kafka_bootstrap: str, dsn: str) -> AsyncIterator[EndingStage]:
    """Jobs go on until they are let go."""
    async with ending_stage(kafka_bootstrap, dsn, lambda event: None) as running:
        yield running


async def held(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM held_jobs"))
    finally:
        await connection.close()


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


async def submit(gateway: RunningGateway, **options: str) -> UUID:
    return UUID((await gateway.submit(**options))["id"])


async def test_a_deferred_job_waits_for_its_owners_others_and_goes_as_bulk(
    gateway: RunningGateway, stage: EndingStage, dsn: str
) -> None:
    first = await submit(gateway)
    await eventually(lambda: first in stage.events)
    waits = await gateway.submit(priority="deferred", deadline=in_minutes(60))
    assert (waits["status"], waits["priority"], waits["lane"]) == ("queued", "deferred", "bulk")
    urgent = await submit(gateway, priority="deferred", deadline=in_minutes(5))
    await eventually(lambda: urgent in stage.events)  # within the margin, so it goes whoever is at work
    assert UUID(waits["id"]) not in stage.events
    assert (await gateway.job(waits["id"]))["status"] == "queued"
    await stage.let_go()
    await eventually(lambda: UUID(waits["id"]) in stage.events)
    assert stage.events[UUID(waits["id"])].lane == "bulk"
    await stage.let_go()
    assert await eventually(lambda: _completed(gateway, waits["id"]))
    assert max(stage.received.values()) == 1
    assert await held(dsn) == 0


async def _completed(gateway: RunningGateway, job: str) -> bool:
    return (await gateway.job(job))["status"] == "completed"


async def test_they_go_one_at_a_time_the_earliest_deadline_first(
    gateway: RunningGateway, stage: EndingStage, dsn: str
) -> None:
    blocker = await submit(gateway)
    await eventually(lambda: blocker in stage.events)
    jobs = [await submit(gateway, priority="deferred", deadline=in_minutes(60 + minutes)) for minutes in (30, 0, 60)]
    assert await held(dsn) == 3
    order = [jobs[1], jobs[0], jobs[2]]
    for number, job in enumerate(order):
        await stage.let_go()
        await eventually(lambda job=job: job in stage.events)  # type: ignore[misc]
        assert not set(order[number + 1 :]) & set(stage.events)
    await stage.let_go()


@pytest.mark.parametrize("action", ["cancel", "delete"])
async def test_one_that_is_cancelled_while_it_waits_never_goes(
    gateway: RunningGateway, stage: EndingStage, dsn: str, action: str
) -> None:
    blocker = await submit(gateway)
    await eventually(lambda: blocker in stage.events)
    job = await submit(gateway, priority="deferred")
    method, path = ("POST", f"/v1/jobs/{job}/cancel") if action == "cancel" else ("DELETE", f"/v1/jobs/{job}")
    async with gateway.http.request(method, path) as answer:
        assert answer.status in {202, 204}
    # What the recorder does of it.
    if action == "cancel":
        await gateway.record(str(job), status="cancelled", finished_at=datetime.now(UTC))

    async def dropped() -> bool:
        return await held(dsn) == 0

    await eventually(dropped)
    assert job not in stage.events
    await stage.let_go()


async def test_the_same_key_is_one_job_also_while_it_waits(gateway: RunningGateway, stage: EndingStage) -> None:
    answers: list[dict[str, Any]] = []
    for _ in range(2):
        async with gateway.http.post(
            "/v1/jobs?priority=deferred", data=b"sound", headers={"Idempotency-Key": "one-deferred-job"}
        ) as answer:
            assert answer.status == 202, await answer.text()
            answers.append(await answer.json())
    assert answers[0]["id"] == answers[1]["id"]
    await eventually(lambda: UUID(answers[0]["id"]) in stage.events)
    await stage.let_go()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deadline": "2026-12-01T00:00:00Z"}, "has a meaning only with"),
        ({"priority": "deferred", "deadline": "tomorrow"}, "must be a time such as"),
        ({"priority": "deferred", "deadline": "2026-12-01T00:00:00"}, "must say its time zone"),
    ],
)
async def test_a_deadline_that_is_none_is_refused(
    gateway: RunningGateway, options: dict[str, str], message: str
) -> None:
    async with gateway.http.post("/v1/jobs", params=options, data=b"sound") as answer:
        document = await problem(answer, 422, "invalid-request")
    assert [error["field"] for error in document["errors"]] == ["deadline"]
    assert message in document["errors"][0]["message"]


async def test_without_postgres_it_can_be_held_nowhere(kafka_bootstrap: str, tmp_path: Path) -> None:
    async with (
        running_gateway(kafka_bootstrap, DEAD_DSN, tmp_path, store_seconds=0.5) as gateway,
        gateway.http.post("/v1/jobs?priority=deferred", data=b"sound") as answer,
    ):
        await problem(answer, 503, "unavailable")

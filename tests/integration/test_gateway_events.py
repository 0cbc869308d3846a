"""A job's live events: a snapshot first, then what happens, never backwards, until the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from common.events import BlobRef, Event, JobCompleted, JobControl, StageProgress, TranscriptCompleted, now
from support.gateway import DEAD_DSN, RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database
from support.waiting import eventually

OWNER = "operator"


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("events")
    async with running_gateway(kafka_bootstrap, dsn, folder, heartbeat_seconds=1.0) as running:
        await following(running)
        yield running


async def following(gateway: RunningGateway) -> None:
    """Return once the gateway's reader of live events has taken its place in the log."""
    job = (await gateway.submit())["id"]
    fraction = 0.0
    async with stream(gateway, job) as events:
        await anext(events)

        async def heard() -> bool:
            nonlocal fraction
            fraction += 0.001
            await gateway.publish(progress(job, "transcoder", fraction))
            try:
                async with asyncio.timeout(0.5):
                    await anext(events)
            except TimeoutError:
                return False
            return True

        await eventually(heard)


class Stream:
    """The messages of an event stream, comments passed over."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.comments: list[str] = []

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> dict[str, Any]:
        message: dict[str, Any] = {}
        while line := (await self._answer.content.readline()).decode():
            if line.startswith(":"):
                self.comments.append(line.strip())
            elif line == "\n" and message:
                return message | {"data": json.loads(message["data"])}
            elif line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                message[name] = value
        raise StopAsyncIteration


@asynccontextmanager
async def stream(gateway: RunningGateway, job: str, last: str | None = None) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last} if last else {}
    async with asyncio.timeout(20), gateway.http.get(f"/v1/jobs/{job}/events", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


def progress(job: str, stage: str, fraction: float) -> StageProgress:
    return StageProgress(job_id=UUID(job), owner=OWNER, stage=stage, fraction=fraction, detail=f"{fraction:.0%}")


def transcribed(job: str) -> TranscriptCompleted:
    return TranscriptCompleted(
        job_id=UUID(job),
        owner=OWNER,
        transcript=BlobRef(name="t"),
        text="hello",
        language="en",
        duration=2.0,
        words=1,
        segments=1,
        provider="pocketsphinx",
    )


def completed(job: str) -> Event:
    return JobCompleted(job_id=UUID(job), owner=OWNER, created_at=now())


async def test_a_job_is_followed_from_its_snapshot_to_its_end(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    async with stream(gateway, job) as events:
        first = await anext(events)
        assert (first["event"], first["id"], first["data"]["status"]) == ("progress", "0-0.0000", "queued")
        assert first["data"] == await gateway.job(job)

        await gateway.publish(progress(job, "transcoder", 0.5))
        second = await anext(events)
        assert (second["id"], second["data"]["status"], second["data"]["detail"]) == ("1-0.5000", "transcoding", "50%")

        await gateway.publish(progress(job, "transcriber", 0.25))
        assert (await anext(events))["id"] == "2-0.2500"

        await gateway.publish(progress(job, "transcoder", 0.9), transcribed(job))
        late = await anext(events)
        assert (late["id"], late["data"]["words"]) == ("2-1.0000", 1)

        await gateway.record(job, status="completed", fraction=1.0, words=1, finished_at=now())
        await gateway.publish(completed(job))
        last = await anext(events)
        assert (last["event"], last["id"]) == ("completed", "4-1.0000")
        assert last["data"] == await gateway.job(job)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_an_ended_job_is_one_event(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    await gateway.record(job, status="failed", error_code="no_audio", error_message="There is no audio in it.")
    async with stream(gateway, job) as events:
        [only] = [message async for message in events]
    assert only["event"] == "failed"
    assert only["data"]["error"] == {"code": "no_audio", "message": "There is no audio in it."}


async def test_who_has_seen_the_end_need_not_come_back(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    await gateway.record(job, status="completed")
    async with gateway.http.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "4-1.0000"}) as answer:
        assert answer.status == 204


async def test_who_comes_back_is_never_sent_behind_what_was_seen(gateway: RunningGateway) -> None:
    """The row lags behind the live events; the client had seen half of the transcription."""
    job = (await gateway.submit())["id"]
    await gateway.record(job, status="transcoding", stage="transcoder", fraction=0.75)
    async with stream(gateway, job, last="2-0.5000") as events:
        await gateway.publish(progress(job, "transcriber", 0.4), progress(job, "transcriber", 0.6))
        first = await anext(events)
        assert (first["id"], first["data"]["status"]) == ("2-0.6000", "transcribing")


async def test_who_comes_back_is_not_told_again_what_was_seen(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    await gateway.record(job, status="transcoding", stage="transcoder", fraction=0.75)
    async with stream(gateway, job, last="1-0.7500") as events:
        await gateway.publish(progress(job, "transcoder", 0.8))
        assert (await anext(events))["id"] == "1-0.8000"
        assert events.comments[0] == ": heartbeat"
    async with stream(gateway, job, last="1-0.5000") as events:
        assert (await anext(events))["id"] == "1-0.7500"


async def test_two_who_watch_see_the_same_end(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    async with stream(gateway, job) as one, stream(gateway, job) as other:
        assert await anext(one) == await anext(other)
        await gateway.record(job, status="cancelled")
        await gateway.publish(completed(job))
        assert (await anext(one))["event"] == (await anext(other))["event"] == "cancelled"


async def test_silence_is_filled_with_heartbeats(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    async with stream(gateway, job) as events:
        await anext(events)

        async def late() -> None:
            while len(events.comments) < 2:
                await asyncio.sleep(0.05)
            await gateway.publish(progress(job, "transcoder", 0.1))

        publishing = asyncio.create_task(late())
        await anext(events)
        await publishing
    assert set(events.comments) == {": heartbeat"}


async def test_an_end_that_went_by_unheard_is_found_in_the_row(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    async with stream(gateway, job) as events:
        await anext(events)
        await gateway.record(job, status="completed", finished_at=now())
        assert (await anext(events))["event"] == "completed"


async def test_a_deleted_job_says_so_and_ends(gateway: RunningGateway) -> None:
    job = (await gateway.submit())["id"]
    async with stream(gateway, job) as events:
        await anext(events)
        await gateway.publish(JobControl(job_id=UUID(job), owner=OWNER, action="delete"))
        last = await anext(events)
        assert (last["event"], last["data"]) == ("deleted", {"id": job, "status": "deleted"})
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_gateway_that_stops_ends_its_streams(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = (await gateway.submit())["id"]
    async with aiohttp.ClientSession(headers=gateway.http.headers) as http:
        async with running_gateway(gateway.kafka, gateway.dsn, tmp_path_factory.mktemp("stopping")) as stopping:
            answer = await http.get(f"{stopping.url}/v1/jobs/{job}/events")
            await anext(events := Stream(answer))
        async with asyncio.timeout(5):
            assert [message async for message in events] == []


async def test_without_postgres_an_accepted_job_is_followed_all_the_same(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("no-postgres")
    async with running_gateway(gateway.kafka, DEAD_DSN, folder, store_seconds=0.5) as lonely:
        await following(lonely)
        job = (await lonely.submit())["id"]
        async with stream(lonely, job) as events:
            assert (await anext(events))["data"]["status"] == "queued"
            await lonely.publish(progress(job, "transcriber", 0.5))
            assert (await anext(events))["id"] == "2-0.5000"
        assert (await lonely.job(job))["status"] == "transcribing"
        async with lonely.http.get(f"/v1/jobs/{uuid4()}/events") as answer:
            await problem(answer, 503, "unavailable")

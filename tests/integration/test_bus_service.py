"""A service's life: it answers its orchestrator, and ends when it cannot go on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog

from common.bus import Context, EachStage
from common.bus.follow import Log, read_to_end
from common.events import Event, SegmentReady
from common.service import Background, Build, Service, run
from scribewire_local.ports import free_port
from support.buskit import SERVICE, publish, segment, settings, transcribed
from support.waiting import eventually


async def handler(event: SegmentReady, _: Context) -> list[Event]:
    return [transcribed(event)]


def building(bootstrap: str, port: int, *background: Background) -> Build:
    @asynccontextmanager
    async def build() -> AsyncIterator[Service]:
        yield Service(
            name=SERVICE,
            settings=settings(bootstrap, health_port=port),
            stages=[EachStage(event=SegmentReady, handler=handler)],
            background=list(background),
        )

    return build


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_it_is_ready_when_it_consumes_and_counts_what_it_does(bus_kafka: str) -> None:
    port, stop = free_port(), asyncio.Event()
    life = asyncio.create_task(run(building(bus_kafka, port), stop=stop))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:

        async def ready() -> bool:
            try:
                async with http.get("/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await eventually(ready)
        wanted = 'scribewire_events_total{event="segment.ready",outcome="done",service="transcriber"}'

        async def count() -> float:
            async with http.get("/metrics") as answer:
                lines = (await answer.text()).splitlines()
            return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)

        # The registry is of the process, and so of every test before this one.
        before = await count()
        await publish(bus_kafka, [segment() for _ in range(30)])

        async def counted() -> bool:
            return await count() == before + 30

        await eventually(counted)
        async with http.get("/metrics") as answer:
            text = await answer.text()
        assert 'scribewire_handler_seconds_bucket{event="segment.ready",le="+Inf",service="transcriber"}' in text
        async with http.get("/healthz") as answer:
            assert answer.status == 200
        stop.set()
        assert await asyncio.wait_for(life, 30) == 0
    found = [followed.event async for followed in read_to_end(bus_kafka, ["segment.transcribed"])]
    assert len(found) == 30


async def test_background_work_that_breaks_ends_the_process_with_an_error(bus_kafka: str) -> None:
    async def breaks() -> None:
        await asyncio.sleep(0.2)
        raise RuntimeError("broken")

    assert await asyncio.wait_for(run(building(bus_kafka, 0, breaks)), 60) == 1


async def test_following_begins_now_or_at_the_start(bus_kafka: str) -> None:
    old, new = segment("old"), segment("new")
    await publish(bus_kafka, [old])
    async with Log(bus_kafka, [old.topic]) as now, Log(bus_kafka, [old.topic], from_start=True) as start:
        await publish(bus_kafka, [new])
        async with asyncio.timeout(30):
            first_now, first_of_all = await anext(aiter(now)), await anext(aiter(start))
    assert (first_now.event, first_now.key) == (new, new.key)
    assert first_of_all.event == old

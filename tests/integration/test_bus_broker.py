"""A broker that is away: nothing that was taken on is lost, and work goes on by itself."""

import asyncio
import time
from collections import Counter

import pytest

from common.bus import Context, EachStage
from common.bus.control import ControlLog
from common.bus.producer import BusUnavailable, Producer
from common.bus.runtime import Bus
from common.events import Event, JobControl, SegmentReady
from scribewire_local.kafka import Kafka
from support.buskit import SERVICE, fresh_topics, lag, publish, records, running, segment, settings, transcribed
from support.waiting import eventually

TOPIC = "segment.ready.interactive"


async def test_what_ends_while_the_broker_is_dead_is_published_and_committed_when_it_is_back(
    bus_broker: Kafka, bus_kafka: str
) -> None:
    started, go = Counter[object](), asyncio.Event()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        started[event.id] += 1
        if event.audio.name == "slow":
            await go.wait()
        return [transcribed(event)]

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await publish(bus_kafka, [*(segment() for _ in range(100)), *(segment("slow") for _ in range(3))])
        await eventually(lambda: len(started) == 103)
        await asyncio.to_thread(bus_broker.kill)
        go.set()
        await asyncio.to_thread(bus_broker.start)
        await publish(bus_kafka, [segment() for _ in range(50)])
        await lag_at_most(bus_kafka, 0)
    outputs = Counter(dict(record.headers)["ce_id"] for record in await records(bus_kafka, "segment.transcribed"))
    assert len(outputs) == 153
    assert max(started.values()) <= 2, "a lost session may repeat what was not yet committed, once"


async def lag_at_most(bootstrap: str, most: int) -> None:
    async def reached() -> bool:
        return await lag(bootstrap, TOPIC) <= most

    await eventually(reached, 60)


async def test_a_bus_started_before_its_broker_waits_for_it(bus_broker: Kafka, bus_kafka: str) -> None:
    done = list[object]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        done.append(event.id)
        return []

    await publish(bus_kafka, [segment()])
    await asyncio.to_thread(bus_broker.stop)
    bus = Bus(SERVICE, settings(bus_kafka), [EachStage(event=SegmentReady, handler=handler)])
    starting = asyncio.create_task(bus.start())
    try:
        await asyncio.sleep(1)
        assert not starting.done()
        assert "kafka was not reached yet" in bus.ready()
        assert not bus.stuck()
    finally:
        await asyncio.to_thread(bus_broker.start)
    await asyncio.wait_for(starting, 60)
    await eventually(lambda: len(done) == 1, 60)
    await bus.stop()


async def test_a_bus_stops_in_time_while_its_broker_is_away(bus_broker: Kafka, bus_kafka: str) -> None:
    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        return [transcribed(event)]

    bus = Bus(SERVICE, settings(bus_kafka, drain_seconds=2), [EachStage(event=SegmentReady, handler=handler)])
    await bus.start()
    await eventually(lambda: not bus.ready())
    await asyncio.to_thread(bus_broker.kill)
    try:
        began = time.monotonic()
        await asyncio.wait_for(bus.stop(), 40)
        assert time.monotonic() - began < 30
    finally:
        await asyncio.to_thread(bus_broker.start)


async def test_publishing_says_in_time_that_the_broker_is_away_and_delivers_later(
    bus_broker: Kafka, bus_kafka: str
) -> None:
    producer = Producer(bus_kafka, service="test")
    await producer.start()
    await producer.publish(segment(), timeout=20)
    await asyncio.to_thread(bus_broker.kill)
    late = segment("late")
    try:
        began = time.monotonic()
        with pytest.raises(BusUnavailable):
            await producer.publish(late, timeout=1)
        assert time.monotonic() - began < 3
        waiting = asyncio.create_task(producer.publish(segment("patient")))
    finally:
        await asyncio.to_thread(bus_broker.start)
    await asyncio.wait_for(waiting, 60)
    await producer.publish(segment(), timeout=30)
    found = {dict(record.headers)["ce_id"].decode() for record in await records(bus_kafka, TOPIC)}
    assert str(late.id) in found, "it was only late"
    await producer.stop()


async def test_a_producer_that_never_reached_a_broker_says_so(bus_broker: Kafka) -> None:
    producer = Producer("127.0.0.1:1", service="test")
    await producer.start()
    assert not producer.connected
    with pytest.raises(BusUnavailable):
        await producer.publish(segment(), timeout=0.3)
    await producer.stop()


async def test_the_control_log_goes_on_after_a_restart_of_the_broker(bus_broker: Kafka, bus_kafka: str) -> None:
    await fresh_topics(bus_kafka)
    control = ControlLog(bus_kafka)
    await control.start()
    await asyncio.to_thread(bus_broker.stop)
    await asyncio.to_thread(bus_broker.start)
    event = segment()
    await publish(bus_kafka, [JobControl(job_id=event.job_id, owner="tester", action="cancel")])
    await asyncio.wait_for(control.wait_cancelled(event.job_id), 60)
    await control.stop()


async def test_of_several_bootstrap_servers_one_that_answers_is_enough(bus_kafka: str) -> None:
    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        return [transcribed(event)]

    async with running(f"127.0.0.1:9,{bus_kafka}", EachStage(event=SegmentReady, handler=handler)):
        await publish(bus_kafka, [segment()])
        await lag_at_most(bus_kafka, 0)
    assert len(await records(bus_kafka, "segment.transcribed")) == 1

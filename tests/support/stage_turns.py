"""One stage on the bus under measurement: the events it eats, its turn, and what a turn came to."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.bus import Context, EachStage
from common.bus.producer import Producer
from common.bus.runtime import Bus
from common.events import BlobRef, SegmentTranscribed, StageProgress
from common.settings import CommonSettings

PARTITIONS = 6
SERVICE = "transcriber"
SOURCE = SegmentTranscribed.type
SINK = StageProgress.type


@dataclass(frozen=True)
class Run:
    """One contender's turn: events per second of wall time, and microseconds of this process's CPU per event."""

    per_second: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.per_second:>9,.0f} events/s  {self.cpu_us:>7.1f} µs CPU/event"


class Clock:
    """Measures from the first event to `stop`."""

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self.count = 0

    def tick(self) -> None:
        """Count one event."""
        if self.count == 0:
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.count += 1

    def stop(self) -> Run:
        """What was measured."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Run(self.count / wall, cpu / self.count * 1e6)


def output(event: SegmentTranscribed) -> StageProgress:
    """The handler's work: one event from one event."""
    return StageProgress(job_id=event.job_id, owner=event.owner, stage="transcriber", fraction=1.0)


def source(job: uuid.UUID) -> SegmentTranscribed:
    """An event as wide as they usually are."""
    result = BlobRef(name=f"users/operator/transcripts/{uuid.uuid4()}/segments/00000.json", size=4096)
    return SegmentTranscribed(job_id=job, owner="operator", index=0, count=1, result=result)


async def turn(
    bootstrap: str,
    handler: Callable[[SegmentTranscribed, Context], Awaitable[list[StageProgress]]],
    handled: asyncio.Event,
    *,
    committed: bool = True,
    **stage: Any,
) -> Callable[[], Awaitable[None]]:
    """Run a stage from the start of the topic until ``handled``; unless told not to, until all offsets are committed.

    Returns what stops the bus, which is no part of the turn.
    """
    await _forget_group(bootstrap, f"{SERVICE}.{SOURCE}")
    bus = Bus(SERVICE, CommonSettings(kafka=bootstrap), [EachStage(event=SegmentTranscribed, handler=handler, **stage)])
    await bus.start()
    await handled.wait()
    while committed and any(subscription.held for subscription in bus.subscriptions):
        await asyncio.sleep(0.001)
        for subscription in bus.subscriptions:
            await subscription.commit()
    return bus.stop


async def ours(bootstrap: str, count: int) -> Run:
    """One `EachStage` that makes one event of each, until all are acknowledged and committed."""
    clock, handled = Clock(), asyncio.Event()

    async def handler(event: SegmentTranscribed, _: Context) -> list[StageProgress]:
        clock.tick()
        if clock.count == count:
            handled.set()
        return [output(event)]

    stop = await turn(bootstrap, handler, handled)
    run = clock.stop()
    await stop()
    return run


async def prepare(bootstrap: str, events: Iterable[SegmentTranscribed], *more: str) -> None:
    """Every topic of a stage and ``more``, and the events that contenders consume."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = [SOURCE, SINK, "job.control", *(f"{SERVICE}.retry.{name}" for name in ("10s", "1m", "10m")), *more]
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    producer = Producer(bootstrap, service=SERVICE)
    await producer.start()
    await producer.publish_many(events)
    await producer.stop()


async def _forget_group(bootstrap: str, group: str) -> None:
    """Let a group of a fixed name begin at the start again."""
    consumer = AIOKafkaConsumer(SOURCE, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    async with asyncio.timeout(60):
        while not consumer.assignment():
            await asyncio.sleep(0.01)
    await consumer.commit(dict.fromkeys(consumer.assignment(), 0))
    await consumer.stop()

"""What the tests of the bus share: a Kafka of their own, its topics made anew for each test, and ways to look at it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.bus.producer import Outgoing, Producer
from common.bus.runtime import Bus
from common.bus.stage import BatchStage, EachStage
from common.events import BlobRef, Event, SegmentReady, SegmentTranscribed
from common.leases import Leases
from common.options import Lane
from common.settings import CommonSettings
from support.waiting import eventually

SERVICE = "transcriber"
PARTITIONS = 3
SOURCES = ("segment.ready.interactive", "segment.ready.bulk", "segment.transcribed")
TOPICS = (
    *SOURCES,
    *(f"{topic}.dead" for topic in SOURCES),
    *(f"{SERVICE}.retry.{name}" for name in ("10s", "1m", "10m")),
    "transcript.completed",
    "stage.progress",
    "stage.failed",
    "job.control",
)


async def fresh_topics(bootstrap: str) -> None:
    """Every topic empty; Kafka forgets the groups' offsets with their topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        old = [topic for topic in await admin.list_topics() if not topic.startswith("__")]
        if old:
            await admin.delete_topics(old)
        missing = set(TOPICS)
        async with asyncio.timeout(20):
            while missing:
                await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in missing])
                missing = set(TOPICS) - set(await admin.list_topics())
    finally:
        await admin.close()


def settings(bootstrap: str, **changed: Any) -> CommonSettings:
    """Settings with retries that tests can wait for."""
    values: dict[str, Any] = {
        "retry_delays": (0.2, 1.0, 3.0),
        "retry_limit": 3,
        "drain_seconds": 10.0,
        "lease_ttl": 3.0,
    }
    return CommonSettings(kafka=bootstrap, **(values | changed))


def segment(what: str = "", *, job: UUID | None = None, index: int = 0, lane: Lane = "interactive") -> SegmentReady:
    """A segment; handlers of tests read in ``what`` what to do with it."""
    return SegmentReady(
        job_id=job or uuid4(),
        owner="tester",
        lane=lane,
        index=index,
        count=10_000,
        start=0,
        end=1,
        audio=BlobRef(name=what),
        provider="none",
    )


def transcribed(event: SegmentReady) -> SegmentTranscribed:
    """What a handler of a test makes of a segment."""
    result = BlobRef(name=event.audio.name)
    return SegmentTranscribed(
        job_id=event.job_id, owner=event.owner, index=event.index, count=event.count, result=result
    )


@asynccontextmanager
async def running(
    bootstrap: str,
    *stages: EachStage | BatchStage,
    leases: Leases | None = None,
    service: str = SERVICE,
    **changed: Any,
) -> AsyncIterator[Bus]:
    """A bus that consumes, stopped in order afterwards."""
    bus = Bus(service, settings(bootstrap, **changed), stages, leases=leases)
    await bus.start()
    try:
        await eventually(lambda: not bus.ready())
        yield bus
    finally:
        await bus.stop()


async def publish(bootstrap: str, events: Iterable[Event]) -> None:
    """Put events on their topics."""
    producer = Producer(bootstrap, service="test")
    await producer.start()
    await producer.publish_many(events)
    await producer.stop()


async def publish_raw(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Put records on topics that are, perhaps, no events."""
    producer = Producer(bootstrap, service="test")
    await producer.start()
    for record in records:
        await producer.deliver(record, timeout=20)
    await producer.stop()


async def records(bootstrap: str, *topics: str) -> list[Any]:
    """Everything on some topics, in order within a partition."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        left = {partition: end for partition, end in ends.items() if end}
        while left:
            for partition, batch in (await consumer.getmany(*left, timeout_ms=1000)).items():
                found += batch
                if batch and batch[-1].offset + 1 >= ends[partition]:
                    del left[partition]
    finally:
        await consumer.stop()
    return found


async def lag(bootstrap: str, topic: str, service: str = SERVICE) -> int:
    """Records of a topic that the group of ``service`` has not committed."""
    return await group_lag(bootstrap, f"{service}.{topic}", [topic])


async def group_lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """Records of some topics that a group has not committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap)
    await admin.start()
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        ends = await consumer.end_offsets(partitions)
        committed = await admin.list_consumer_group_offsets(group)
        done = {partition: found.offset for partition, found in committed.items() if found.offset > 0}
        return sum(end - done.get(partition, 0) for partition, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()


def lines(path: Path) -> list[list[str]]:
    """What workers noted in a file, a list of words for each line."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

"""Everything that lies on some topics: each event with its place and the moment its producer sent it."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from common.envelope import decode
from common.events import Event


@dataclass(frozen=True, slots=True)
class Logged:
    """One event on a topic; ``at`` is ``time.time()`` of its producer."""

    event: Event
    topic: str
    partition: int
    offset: int
    at: float


async def read_log(bootstrap: str, topics: Iterable[str]) -> list[Logged]:
    """Every event up to the present ends, oldest first; tombstones are left out, what is no event raises."""
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        partitions: list[TopicPartition] = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        found: list[Logged] = []
        while behind := [one for one in partitions if await consumer.position(one) < ends[one]]:
            for records in (await consumer.getmany(*behind, timeout_ms=1000)).values():
                found.extend(
                    Logged(decode(r.value, r.headers), r.topic, r.partition, r.offset, r.timestamp / 1000)
                    for r in records
                    if r.value is not None
                )
    finally:
        await consumer.stop()
    return sorted(found, key=lambda one: one.at)

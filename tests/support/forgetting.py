"""Making a Kafka of ours forget now what it would forget in weeks, and looking at every byte it still has."""

import asyncio
import time
from collections.abc import Mapping
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from common.topics import specs

CLEANS_AT_ONCE = {
    "log.cleaner.backoff.ms": "100",
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "100",
    "log.segment.delete.delay.ms": "100",
}
"""Properties of a broker that does not let the cleaning of its logs wait."""

_COMPACT = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
}
_DELETE = {"cleanup.policy": "delete", "segment.ms": "100", "retention.ms": "100"}


async def raw_log(bootstrap: str) -> dict[str, bytes]:
    """What a consumer that never read before finds on each topic: keys, values and headers, joined."""
    consumer = AIOKafkaConsumer(
        *(spec.name for spec in specs()),
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    found: dict[str, list[bytes]] = {spec.name: [] for spec in specs()}
    await consumer.start()
    try:
        partitions: list[TopicPartition] = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        while behind := [one for one in partitions if await consumer.position(one) < ends[one]]:
            for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
                for record in records:
                    parts = [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
                    found[record.topic] += parts
    finally:
        await consumer.stop()
    return {topic: b"\n".join(parts) for topic, parts in found.items()}


async def forget_now(bootstrap: str, *texts: bytes, seconds: float = 60.0) -> Mapping[str, bytes]:
    """Have every topic compact, or drop what is old, until none of the texts is found, and return what is left.

    Only what is not in a topic's newest segment is cleaned, so records without meaning are written behind what there
    is. Raises AssertionError, which names the topics, when a text is still there after ``seconds``.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        compacted = {spec.name: spec.config.get("cleanup.policy") == "compact" for spec in specs()}
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, name, _COMPACT if compact else _DELETE)
                for name, compact in compacted.items()
            ]
        )
    finally:
        await admin.close()
    deadline = time.monotonic() + seconds
    while True:
        await _fill(bootstrap, [name for name, compact in compacted.items() if compact])
        left = await raw_log(bootstrap)
        remembering = {topic for topic, raw in left.items() for text in texts if text in raw}
        if not remembering:
            return left
        assert time.monotonic() < deadline, f"still known to {sorted(remembering)}"
        await asyncio.sleep(0.2)


async def _fill(bootstrap: str, topics: list[str]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for topic in topics:
            for partition in await producer.partitions_for(topic):
                # A tombstone of a key that nobody has: every consumer passes over it.
                await producer.send_and_wait(topic, None, key=uuid4().bytes, partition=partition)
    finally:
        await producer.stop()

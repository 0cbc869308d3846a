"""Reading topics without a group: for who watches events and commits nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from common.bus.crew import close
from common.envelope import Headers, Undecodable, decode
from common.events import Event

log = structlog.get_logger(__name__)

_BACKOFF = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Followed:
    """One record of a followed topic; ``event`` is None for a tombstone of ``key``."""

    event: Event | None
    topic: str
    partition: int
    offset: int
    key: str | None
    headers: Headers


class Log:
    """Some topics, read without a group; records that are no events are logged and passed over.

    Parameters
    ----------
    bootstrap
        Kafka's bootstrap servers.
    topics
        Topics to read; they must exist, opening waits for them.
    from_start
        Read from each partition's start instead of its present end.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str], *, from_start: bool = False) -> None:
        self._bootstrap = bootstrap
        self._topics = tuple(topics)
        self._from_start = from_start
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []

    async def open(self) -> None:
        """Connect and take a position in every partition; tries again while Kafka is away or a topic missing."""
        wait = _BACKOFF[0]
        while True:
            consumer = AIOKafkaConsumer(
                *self._topics,
                bootstrap_servers=self._bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="earliest" if self._from_start else "latest",
            )
            try:
                await consumer.start()
                await self._position(consumer)
            except BaseException as error:
                await close("a followed log", consumer.stop())
                if not isinstance(error, KafkaError):
                    raise
                log.warning("cannot follow yet, will try again", topics=self._topics, error=repr(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, _BACKOFF[1])
            else:
                self._consumer = consumer
                return

    async def close(self) -> None:
        """Stop reading."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close("a followed log", consumer.stop())

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Followed]:
        """What is read from here on, for ever; outlives a broker that goes away for a while."""
        while True:
            for followed in await self._next():
                yield followed

    async def to_end(self) -> AsyncIterator[Followed]:
        """What is read until the partitions' ends as they are now are reached; may hold a few later records."""
        consumer = self._opened()
        ends = await consumer.end_offsets(self._partitions)
        while True:
            behind = [part for part, end in ends.items() if await consumer.position(part) < end]
            if not behind:
                return
            for followed in await self._next(*behind):
                yield followed

    async def _position(self, consumer: AIOKafkaConsumer) -> None:
        self._partitions = sorted(consumer.assignment())
        missing = set(self._topics) - {partition.topic for partition in self._partitions}
        if missing:
            raise UnknownTopicOrPartitionError(", ".join(sorted(missing)))
        for partition in self._partitions:
            # Asking takes the position; without it "now" would be whenever the first fetch gets there.
            await consumer.position(partition)

    def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the log is not open")
        return self._consumer

    async def _next(self, *partitions: TopicPartition) -> list[Followed]:
        try:
            found = await self._opened().getmany(*partitions, timeout_ms=1000)
        except KafkaError as error:
            log.warning("following failed, will try again", topics=self._topics, error=repr(error))
            await asyncio.sleep(_BACKOFF[1])
            return []
        followed = []
        for records in found.values():
            for record in records:
                try:
                    event = None if record.value is None else decode(record.value, record.headers)
                except Undecodable as error:
                    log.warning(
                        "passed over a record that is no event",
                        topic=record.topic,
                        partition=record.partition,
                        offset=record.offset,
                        reason=error.reason,
                    )
                    continue
                key = None if record.key is None else record.key.decode(errors="replace")
                followed.append(Followed(event, record.topic, record.partition, record.offset, key, record.headers))
        return followed


async def follow(bootstrap: str, topics: Sequence[str], *, from_start: bool = False) -> AsyncIterator[Followed]:
    """Events of some topics as they come, for ever; from the topics' start on request, else from now."""
    async with Log(bootstrap, topics, from_start=from_start) as opened:
        async for followed in opened:
            yield followed


async def read_to_end(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[Followed]:
    """Everything in some topics, up to their present ends; in order within a partition."""
    async with Log(bootstrap, topics, from_start=True) as opened:
        async for followed in opened.to_end():
            yield followed

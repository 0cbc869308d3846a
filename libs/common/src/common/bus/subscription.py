"""One consumer group on some topics: what it took, how far that is finished, and the commits that say so."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER

from common.bus.crew import Crew
from common.bus.prefix import Mark, Prefix
from common.bus.record import Record
from common.metrics import COMMIT_FAILURES

log = structlog.get_logger(__name__)

COMMIT_SECONDS = 0.1
"""How often a finished prefix is committed."""
SPAN = 10_000
"""Records held back in one partition by an unfinished one before that partition, alone, is paused."""
_COMMIT_TIMEOUT = 5.0
_POLL_MS = 250
"""Longest wait of one poll; it bounds how late a partition that was paused is read again."""
_SESSION = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000, "max_poll_interval_ms": 24 * 3_600_000}


class Taken(Mark):
    """A record that was taken; ``prefix`` is of its partition and says when that was lost."""

    __slots__ = ("prefix", "record")

    def __init__(self, record: Record, prefix: "Prefix[Any]") -> None:
        super().__init__(record.offset)
        self.record = record
        self.prefix = prefix


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """FastStream's batch subscriber on some topics, with offsets of our own.

    Parameters
    ----------
    topics
        Topics to read.
    group
        The consumer group.
    sink
        Gets the records taken, in order, and must not raise; called again only while ``room`` says so.
    room
        Whether the sink would take more now.
    take
        Makes what the sink gets of a record.
    max_records
        Most records taken at once.
    """

    def __init__(
        self,
        topics: Sequence[str],
        group: str,
        crew: Crew,
        *,
        sink: Callable[[list[Any]], None],
        room: Callable[[], bool],
        take: Callable[[Record, Prefix[Any]], Taken] = Taken,
        max_records: int = 500,
        span: int | None = None,
    ) -> None:
        self.topics = tuple(topics)
        self.group = group
        self._crew = crew
        self._sink = sink
        self._room = room
        self._take = take
        self._max_records = max_records
        self._span = span or SPAN
        self._subscriber: Any = None
        self._prefixes: dict[TopicPartition, Prefix[Taken]] = {}
        self._epoch = 0
        self.rebalances = 0
        """Assignments so far."""
        self._assigned = False
        self._closed = False
        self._may_have_room = asyncio.Event()
        self._committing = asyncio.Lock()
        self._paused: set[TopicPartition] = set()

    @property
    def assigned(self) -> bool:
        """Whether the group has told this member which partitions are its own, perhaps none."""
        return self._assigned

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The consumer while it runs."""
        return None if self._subscriber is None else self._subscriber.consumer

    @property
    def full(self) -> bool:
        """Whether it takes no more because of what it has taken."""
        return bool(self._paused) or not self._room()

    @property
    def progress(self) -> dict[TopicPartition, int | None]:
        """How far each partition is finished."""
        return {partition: prefix.end for partition, prefix in self._prefixes.items()}

    @property
    def held(self) -> int:
        """Records taken whose offsets are not yet in a finished prefix."""
        return sum(len(prefix) for prefix in self._prefixes.values())

    def declare(self, broker: KafkaBroker) -> None:
        """Declare the subscriber on a broker that is about to start."""
        subscriber: Any = broker.subscriber(  # type: ignore[call-overload]
            *self.topics,
            group_id=self.group,
            batch=True,
            max_records=self._max_records,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            listener=self,
            parser=_parse,
            decoder=_decode,
            **_SESSION,
        )
        subscriber(self._feed)
        subscriber.get_msg = self._poll
        self._subscriber = subscriber

    def made_room(self) -> None:
        """Say that ``room`` may be true now."""
        self._may_have_room.set()

    def close(self) -> None:
        """Take nothing more; what was taken may still be finished and committed."""
        self._closed = True
        self._may_have_room.set()
        consumer = self.consumer
        if consumer is not None:
            for partition in self._prefixes:
                _quietly(consumer.pause, partition)

    async def commit(self) -> None:
        """Commit every finished prefix that moved; a commit that fails is made again with the next."""
        consumer = self.consumer
        if consumer is None:
            return
        async with self._committing:
            offsets = {
                partition: end
                for partition, prefix in self._prefixes.items()
                if (end := prefix.advance()) is not None and end != prefix.committed
            }
            if offsets:
                await self._commit(consumer, offsets)
        self._balance(consumer)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is finished and forget the rest; whoever gets the partition next takes it from there."""
        if self._prefixes:
            await self.commit()
        for prefix in self._prefixes.values():
            prefix.lost = True
        self._prefixes = {}
        self._paused.clear()
        self._epoch += 1
        self._may_have_room.set()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin anew with these partitions."""
        self._epoch += 1
        self._prefixes = {partition: Prefix() for partition in assigned}
        self._assigned = True
        self.rebalances += 1
        log.info("partitions assigned", group=self.group, count=len(assigned))
        if self._closed:
            self.close()

    async def _feed(self, records: Any) -> None:
        # Any: FastStream builds a pydantic model of this signature. It also drops every error, and the batch with it.
        try:
            await self._offer(records)
        except Exception as error:
            self._crew.fail(error)

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[Record, ...]:
        # FastStream's own sleeps after an empty poll as long as the poll waited: with its 20 ms, which bounded the wait
        # of a first event, the services of an idle platform took a tenth of a core. The poll ends when something comes.
        found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=self._max_records)
        return tuple(chain.from_iterable(found.values()))

    async def _offer(self, records: Sequence[Record]) -> None:
        epoch = self._epoch
        while not self._room():
            self._may_have_room.clear()
            await self._may_have_room.wait()
            # What was read before a rebalance is read again after it, by its new owner.
            if self._epoch != epoch or self._closed:
                return
        if self._closed:
            return
        taken = []
        topic, number = "", -1
        prefix: Prefix[Taken] | None = None
        for record in records:
            if record.partition != number or record.topic != topic:
                topic, number = record.topic, record.partition
                prefix = self._prefixes.get(TopicPartition(topic, number))
            if prefix is None:
                continue
            mark = self._take(record, prefix)
            prefix.take(mark)
            taken.append(mark)
        self._sink(taken)
        if self.consumer is not None:
            self._balance(self.consumer)

    async def _commit(self, consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        try:
            async with asyncio.timeout(_COMMIT_TIMEOUT):
                await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            # The group rebalanced meanwhile: the next owner repeats what this commit would have covered.
            COMMIT_FAILURES.labels(self.group, "rebalance").inc()
        except (KafkaError, TimeoutError) as error:
            COMMIT_FAILURES.labels(self.group, "broker").inc()
            log.warning("commit failed, will try again", group=self.group, error=repr(error))
        else:
            for partition, end in offsets.items():
                prefix = self._prefixes.get(partition)
                if prefix is not None:
                    prefix.committed = end

    def _balance(self, consumer: AIOKafkaConsumer) -> None:
        if self._closed:
            return
        for partition, prefix in self._prefixes.items():
            if len(prefix) >= self._span:
                prefix.advance()
            if partition in self._paused:
                if len(prefix) < self._span // 2:
                    self._paused.discard(partition)
                    _quietly(consumer.resume, partition)
            elif len(prefix) >= self._span:
                log.warning(
                    "partition paused behind an unfinished event", group=self.group, partition=partition.partition
                )
                self._paused.add(partition)
                _quietly(consumer.pause, partition)


async def _parse(records: tuple[Record, ...]) -> KafkaMessage:
    # FastStream's own parser decodes headers and discards the whole batch when one of them is not UTF-8.
    return KafkaMessage(raw_message=records, body=b"", consumer=FAKE_CONSUMER)


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


def _quietly(change: Callable[[TopicPartition], None], partition: TopicPartition) -> None:
    try:
        change(partition)
    except IllegalStateError:
        pass  # revoked meanwhile

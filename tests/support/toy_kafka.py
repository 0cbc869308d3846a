"""As much of Kafka as the bus sees, in memory: logs, groups with generations, commits and acknowledgements that fail.

It stands at the client library's boundary, in the places of FastStream's broker and aiokafka's producer; each process
of a test is known by its bootstrap address.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, RequestTimedOutError

Commit = dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class ToyRecord:
    """One record; ``number`` counts all records of all topics in the order in which they were written."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    number: int


@dataclass
class Process:
    """What the outside knows of one process of a test."""

    name: str
    dead: bool = False
    """Killed: nothing of it reaches anyone any more."""
    brokers: list["ToyBroker"] = field(default_factory=list)
    _grave: asyncio.Event = field(default_factory=asyncio.Event)

    async def alive(self) -> None:
        """Return if it is; what a dead process waits for never comes."""
        if self.dead:
            await self._grave.wait()


class ToyKafka:
    """The logs and the groups.

    Parameters
    ----------
    chance
        Decides sizes of fetches and lengths of waits.
    committing
        Told of each commit before it is stored; raises where it must not be.
    """

    def __init__(self, chance: random.Random, partitions: int, committing: Callable[[str, Commit], None]) -> None:
        self.chance = chance
        self.partitions = partitions
        self.committing = committing
        self.processes: dict[str, Process] = {}
        self.logs: defaultdict[TopicPartition, list[ToyRecord]] = defaultdict(list)
        self.written: list[ToyRecord] = []
        self.committed: dict[tuple[str, TopicPartition], int] = {}
        self.groups: dict[str, Group] = {}
        self.commit_troubles: list[str] = []
        """What befalls the next commits: ``refused``, ``unheard`` (stored, but the answer is lost) or ``slow``."""
        self.send_troubles: list[str] = []
        """What befalls the next records sent: ``refused``, ``unheard`` or ``slow``."""

    def process(self, name: str) -> Process:
        """Begin a process."""
        self.processes[name] = Process(name)
        return self.processes[name]

    def group(self, name: str, topics: Sequence[str]) -> "Group":
        """A group of that name, made when it is missing."""
        return self.groups.setdefault(name, Group(self, name, topics))

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> ToyRecord:
        """Write a record and wake whoever waits for one."""
        partition = TopicPartition(topic, crc32(key or b"") % self.partitions)
        log = self.logs[partition]
        record = ToyRecord(topic, partition.partition, len(log), key, value, tuple(headers), len(self.written))
        log.append(record)
        self.written.append(record)
        for group in self.groups.values():
            for consumer in group.members:
                consumer.more.set()
        return record

    def lag(self, group: "Group") -> int:
        """Records that a group has not committed."""
        places = group.places()
        return sum(len(self.logs[place]) - self.committed.get((group.name, place), 0) for place in places)


class Group:
    """One consumer group under the eager protocol: everybody gives up everything, then partitions are dealt anew."""

    def __init__(self, kafka: ToyKafka, name: str, topics: Sequence[str]) -> None:
        self.kafka = kafka
        self.name = name
        self.topics = topics
        self.members: list[ToyConsumer] = []
        self.generation = 0
        self._turn = asyncio.Lock()

    def places(self) -> list[TopicPartition]:
        """Every partition it reads."""
        return [TopicPartition(topic, number) for topic in self.topics for number in range(self.kafka.partitions)]

    async def rebalance(self, late: "ToyConsumer | None" = None) -> None:
        """Deal the partitions anew; who is ``late`` was thrown out and learns of it a while after the others."""
        async with self._turn:
            for consumer in [member for member in self.members if member is not late]:
                await consumer.give_up()
            self.generation += 1
            self._deal([member for member in self.members if member is not late])
        if late is not None:
            await asyncio.sleep(self.kafka.chance.choice((0.0, 0.05, 3.0)))
            await late.give_up()
            await self.rebalance()

    def _deal(self, members: list["ToyConsumer"]) -> None:
        places = self.places()
        self.kafka.chance.shuffle(places)
        dealt: dict[ToyConsumer, list[TopicPartition]] = {member: [] for member in members}
        for number, place in enumerate(places if members else []):
            dealt[members[number % len(members)]].append(place)
        for member, own in dealt.items():
            member.begin(own)


class ToyConsumer:
    """aiokafka's consumer, as far as the bus uses it."""

    def __init__(self, kafka: ToyKafka, process: Process, group: Group, listener: Any, most: int) -> None:
        self._kafka = kafka
        self._process = process
        self._group = group
        self._listener = listener
        self._most = most
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._generation = 0
        self.more = asyncio.Event()

    def assignment(self) -> set[TopicPartition]:
        """Its partitions."""
        return set(self._positions)

    async def position(self, place: TopicPartition) -> int:
        """The next offset it reads."""
        return self._positions[place]

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where logs end."""
        return {place: len(self._kafka.logs[place]) for place in places}

    def pause(self, place: TopicPartition) -> None:
        """Read no more of a partition."""
        self._own(place)
        self._paused.add(place)

    def resume(self, place: TopicPartition) -> None:
        """Read on."""
        self._own(place)
        self._paused.discard(place)
        self.more.set()

    async def commit(self, offsets: Commit) -> None:
        """Commit, as well as the broker lets it."""
        generation, trouble = self._generation, self._trouble()
        for place in offsets:
            self._own(place)
        await asyncio.sleep({"slow": 4.0}.get(trouble, 0.001))
        await self._process.alive()
        if trouble == "refused":
            raise RequestTimedOutError
        if generation != self._group.generation:
            raise CommitFailedError
        self._kafka.committing(self._group.name, offsets)
        for place, end in offsets.items():
            before = self._kafka.committed.get((self._group.name, place), 0)
            assert end >= before, f"{self._group.name} {place} was committed at {before} and now at {end}"
            self._kafka.committed[self._group.name, place] = end
        if trouble == "unheard":
            raise RequestTimedOutError

    def take(self) -> tuple[ToyRecord, ...]:
        """What a fetch brings, of several partitions at once."""
        found: list[ToyRecord] = []
        for place, position in self._positions.items():
            if place not in self._paused and len(found) < self._most:
                count = self._kafka.chance.randint(1, self._most - len(found))
                records = self._kafka.logs[place][position : position + count]
                self._positions[place] += len(records)
                found += records
        return tuple(found)

    def begin(self, places: Sequence[TopicPartition]) -> None:
        """Begin with an assignment, from what the group has committed."""
        self._generation = self._group.generation
        committed = self._kafka.committed
        self._positions = {place: committed.get((self._group.name, place), 0) for place in places}
        self._paused.clear()
        _at_once(self._listener.on_partitions_assigned(set(places)))
        self.more.set()

    async def give_up(self) -> None:
        """Have the bus give up what it was assigned."""
        giving_up = asyncio.ensure_future(self._listener.on_partitions_revoked(set(self._positions)))
        while not giving_up.done() and not self._process.dead:
            await asyncio.wait({giving_up}, timeout=0.5)
        if giving_up.done():
            giving_up.result()
        self._positions = {}

    def _own(self, place: TopicPartition) -> None:
        if place not in self._positions:
            raise IllegalStateError(f"{place} is not assigned")

    def _trouble(self) -> str:
        troubles = self._kafka.commit_troubles
        return troubles.pop() if troubles else ""


class ToySubscriber:
    """FastStream's batch subscriber: one fetch after the other into the bus."""

    def __init__(self, broker: "ToyBroker", group: Group, listener: Any, most: int) -> None:
        self._broker = broker
        self._group = group
        self._feed: Callable[[Any], Awaitable[None]]
        self._pumping: asyncio.Task[None] | None = None
        self.consumer = ToyConsumer(broker.kafka, broker.process, group, listener, most)

    def __call__(self, feed: Callable[[Any], Awaitable[None]]) -> None:
        """Take the handler."""
        self._feed = feed

    async def start(self) -> None:
        """Join the group."""
        await self._broker.process.alive()
        self._group.members.append(self.consumer)
        self._pumping = asyncio.create_task(self._pump())
        await self._group.rebalance()

    async def stop(self) -> None:
        """Leave the group."""
        if self._pumping is not None:
            self._pumping.cancel()
        await self.consumer.give_up()
        self.vanish()
        await self._group.rebalance()

    def vanish(self) -> None:
        """Be in the group no more."""
        if self.consumer in self._group.members:
            self._group.members.remove(self.consumer)

    async def evicted(self) -> None:
        """Be thrown out, learn of it late, and join again."""
        if self.consumer in self._group.members:
            await self._group.rebalance(late=self.consumer)

    async def expire(self) -> None:
        """The broker has not heard of a killed process for a session's time."""
        self.vanish()
        await self._group.rebalance()

    async def _pump(self) -> None:
        while not self._broker.process.dead:
            records = self.consumer.take()
            if records:
                await self._feed(records)
                await asyncio.sleep(0)
            else:
                self.consumer.more.clear()
                await self.consumer.more.wait()


class ToyBroker:
    """In the place of FastStream's ``KafkaBroker``."""

    def __init__(self, kafka: ToyKafka, bootstrap: str) -> None:
        self.kafka = kafka
        self.process = kafka.processes[bootstrap]
        self.process.brokers.append(self)
        self.subscribers: list[ToySubscriber] = []

    def subscriber(self, *topics: str, group_id: str, listener: Any, max_records: int, **_: Any) -> ToySubscriber:
        """Declare a subscriber; few records at once, so that fetches end in the middle of things."""
        group = self.kafka.group(group_id, topics)
        made = ToySubscriber(self, group, listener, min(max_records, 7))
        self.subscribers.append(made)
        return made

    async def start(self) -> None:
        """Join all groups."""
        for one in self.subscribers:
            await one.start()

    async def stop(self) -> None:
        """Leave all groups."""
        for one in self.subscribers:
            await one.stop()


class ToyClient:
    """In the place of ``AIOKafkaProducer``."""

    def __init__(self, kafka: ToyKafka, bootstrap: str) -> None:
        self._kafka = kafka
        self._process = kafka.processes[bootstrap]

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, *, headers: Sequence[tuple[str, bytes]]
    ) -> "asyncio.Future[Any]":
        """Write a record; the future is done when the broker answers."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        await self._process.alive()
        trouble = self._kafka.send_troubles.pop() if self._kafka.send_troubles else ""
        if trouble != "refused":
            self._kafka.append(topic, key, value, headers)
        error: KafkaError | None = RequestTimedOutError() if trouble in {"refused", "unheard"} else None
        loop.call_later({"slow": 3.0}.get(trouble, 0.002), _answer, answer, error)
        return answer


def _answer(future: "asyncio.Future[Any]", error: KafkaError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _at_once(listening: Any) -> None:
    # aiokafka reads nothing between an assignment and the listener's answer as long as that does not wait.
    try:
        listening.send(None)
    except StopIteration:
        return
    raise AssertionError("on_partitions_assigned must not wait")

"""What must hold of the bus at every moment, checked against what reached the log; and processes to check it on."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import structlog

from common import ids
from common.blobs import BlobsUnavailable
from common.bus import Before, Context, EachStage
from common.bus.failures import REPLAY
from common.bus.runtime import Bus
from common.errors import Permanent, Transient
from common.events import Event, SegmentReady, SegmentTranscribed, UsageRecorded
from common.leases import Lease
from common.testing.leases import MemoryLeases
from support.buskit import SERVICE, settings, transcribed
from support.toy_kafka import Commit, Process, ToyBroker, ToyClient, ToyKafka, ToyRecord, ToySubscriber
from support.virtual_time import VirtualLoop

Script = Sequence[tuple[float, str]]
"""Of an event's successive runs: seconds it takes, and ``done``, ``busy``, ``later``, ``refused`` or ``kills``."""

TTL = 3.0
DRAIN = 10.0
ERRANDS, ERRANDS_OF_ONE = 3, 2
"""What is to be done before: how often at once in a process, and of one owner in one lane."""
RETRIES = ("transcriber.retry.10s", "transcriber.retry.1m", "transcriber.retry.10m")


class World:
    """One Kafka, one lease store, the processes on them, and the promises they keep.

    Two stages as a transcriber has them: segments under leases, on two lanes; their results in order per job.
    """

    def __init__(self, seed: int, slots: int) -> None:
        self.loop = VirtualLoop()
        self.slots = slots
        self.kafka = ToyKafka(random.Random(seed), 3, self._committing)
        self.leases = MemoryLeases(TTL, clock=self.loop.time)
        self.scripts: dict[UUID, Script] = {}
        self.errands: dict[UUID, Script] = {}
        """The same of what has to be done before the handler of an event; none for most."""
        self.brought: set[UUID] = set()
        """Events of which that is done."""
        self.cancelled: set[UUID] = set()
        self.buses: dict[str, Bus] = {}
        self.runs = Counter[UUID]()
        self.store_seconds = 0.01
        """How long the lease store takes to answer."""
        self.unheard_marks = 0
        """How many of the next leases are marked as alone without an answer."""
        self.faults = 0
        """How often a lease may have lapsed under its holder, or could not be had: both count towards giving up."""
        self.calm = True
        """Whether nothing happened that delivers a record twice or writes one twice."""
        self._at_work: dict[UUID, set[str]] = defaultdict(set)
        self._jobs_at_work: dict[str, set[UUID]] = defaultdict(set)
        self._errands_run = Counter[UUID]()
        self._errands_at_work: dict[str, list[tuple[str, str]]] = defaultdict(list)
        # asyncio keeps no task alive that only a dead process knows.
        self._lives: list[tuple[Bus, asyncio.Task[None]]] = []
        self._read = 0
        self._made: set[str] = set()
        self._dead = Counter[str]()
        self._last: dict[str, tuple[int, int]] = {}

    def start(self) -> str:
        """Begin a process and let it join."""
        name = f"process-{len(self.kafka.processes)}"
        self.calm = self.calm and not self.kafka.processes
        process = self.kafka.process(name)
        stages = [
            EachStage(
                event=SegmentReady,
                handler=partial(self._handle, process),
                concurrency=self.slots,
                leased=True,
                before=Before(
                    needed=self._is_errand,
                    handler=partial(self._bring, process),
                    concurrency=ERRANDS,
                    of_one_owner=ERRANDS_OF_ONE,
                ),
            ),
            EachStage(
                event=SegmentTranscribed,
                handler=partial(self._handle, process),
                concurrency=self.slots,
                ordered=True,
            ),
        ]
        own = settings(name, lease_ttl=TTL, drain_seconds=DRAIN, retry_limit=3, retry_delays=(1.0, 5.0, 20.0))
        self.buses[name] = bus = Bus(SERVICE, own, stages, leases=_Leases(self, process))
        self._lives.append((bus, self.loop.create_task(bus.start())))
        return name

    async def leave(self, name: str) -> None:
        """Stop a process as SIGTERM does."""
        await self.buses[name].stop()
        self.check()
        del self.buses[name]

    def crash(self, name: str) -> None:
        """Kill a process; its group hears of it a session later."""
        self.faults += 1
        process = self.kafka.processes[name]
        process.dead = True
        del self.buses[name]
        for at_work in self._at_work.values():
            at_work.discard(name)
        self._jobs_at_work.pop(name, None)
        self._errands_at_work.pop(name, None)
        for broker in process.brokers:
            for subscriber in broker.subscribers:
                self.loop.call_later(6.0, self._expire, subscriber)

    def _expire(self, subscriber: ToySubscriber) -> None:
        self.loop.create_task(subscriber.expire())

    def evict(self, name: str) -> None:
        """Have the groups throw a process out that still works."""
        self.faults += 1
        for broker in self.kafka.processes[name].brokers:
            for subscriber in broker.subscribers:
                self.loop.create_task(subscriber.evicted())

    def check(self) -> None:
        """No process may have found its bus broken."""
        for name, bus in self.buses.items():
            assert not (found := [reason for reason in bus.stuck() if "broken" in reason]), f"{name}: {found}"

    def idle(self) -> bool:
        """Whether all that was ever written is done and committed."""
        return all(self.kafka.lag(group) == 0 for group in self.kafka.groups.values())

    def finish(self) -> None:
        """Heal everything and wait until all is done; then each event must have had its effect."""
        self.kafka.commit_troubles.clear()
        self.kafka.send_troubles.clear()
        self.store_seconds = 0.01
        self.loop.advance(60)
        if not self.buses:
            self.start()
        for _ in range(600):
            self.check()
            if self.idle():
                break
            self.loop.advance(5)
        assert self.idle(), f"never done: {[self._describe(one) for one in self.kafka.written if not self.done(one)]}"
        for event in self.scripts:
            self._effect(event)
        for name, bus in self.buses.items():
            assert sum(one.held for one in bus.subscriptions) == 0, f"{name} still holds records"
        for name in list(self.buses):
            self.loop.do(self.leave(name))

    def letters(self, event: UUID) -> int:
        """How many dead letters there are of an event."""
        self._read_on()
        return sum(number for life, number in self._dead.items() if life.startswith(str(event)))

    def done(self, record: ToyRecord) -> bool:
        """Whether a record's fate is on the log: its output, its dead letter, another record that carries the event on.

        Or its job was cancelled. A retry is only a carrier: it is done when it was sent back. What carries on is of a
        later delivery, or was written later for the same one: of all records of an event one is carried by no other.
        What was put back from the dead letters is another life of its event, and carried by none of an earlier one.
        """
        self._read_on()
        life = _life(record)
        if self._last[life] > _place(record):
            return True
        if record.topic in RETRIES:
            return False
        return _id(record) in self._made or self._dead[life] > 0 or _job(record) in self.cancelled

    def _effect(self, event: UUID) -> None:
        outcomes = [outcome for _, outcome in (*self.errands.get(event, ()), *self.scripts[event])]
        name, letters = str(event), self.letters(event)
        if letters:
            refused = "refused" in outcomes or len([one for one in outcomes if one != "done"]) >= 3
            assert refused or self.faults, f"{name} is dead without a reason: {outcomes}"
            assert letters == 1 or not self.calm, f"{name} is dead {letters} times"

    def _committing(self, group: str, offsets: Commit) -> None:
        for place, end in offsets.items():
            begin = self.kafka.committed.get((group, place), 0)
            for record in self.kafka.logs[place][begin:end]:
                assert self.done(record), f"{group} commits past the unfinished {self._describe(record)}"

    async def _handle(
        self, process: Process, event: SegmentReady | SegmentTranscribed, context: Context
    ) -> list[Event]:
        await process.alive()
        assert not self._at_work[event.id], f"{event.id} runs in {process.name} and {self._at_work[event.id]}"
        if isinstance(event, SegmentTranscribed):
            # Only the leased stage is alone in the world with its event; order holds within a process.
            jobs = self._jobs_at_work[process.name]
            assert event.job_id not in jobs, "two of one key at once"
            jobs.add(event.job_id)
        else:
            assert event.id not in self.errands or event.id in self.brought, "its turn came before it was prepared"
            self._at_work[event.id].add(process.name)
        script = self.scripts.get(event.id, ())
        run = self.runs[event.id]
        self.runs[event.id] += 1
        seconds, outcome = script[run] if run < len(script) else (0.0, "done")
        try:
            await asyncio.sleep(seconds)
        finally:
            self._at_work[event.id].discard(process.name)
            self._jobs_at_work[process.name].discard(event.job_id)
        await self._befall(process, outcome)
        if isinstance(event, SegmentReady):
            return [transcribed(event)]
        return [_usage(event)]

    async def _is_errand(self, event: SegmentReady) -> bool:
        return event.id in self.errands and event.id not in self.brought

    async def _bring(self, process: Process, event: SegmentReady, context: Context) -> None:
        await process.alive()
        assert not self._at_work[event.id], f"{event.id} runs in {process.name} and {self._at_work[event.id]}"
        whose, at_work = (event.owner, event.lane), self._errands_at_work[process.name]
        self._at_work[event.id].add(process.name)
        at_work.append(whose)
        assert len(at_work) <= ERRANDS
        assert at_work.count(whose) <= ERRANDS_OF_ONE
        script, run = self.errands[event.id], self._errands_run[event.id]
        self._errands_run[event.id] += 1
        seconds, outcome = script[run] if run < len(script) else (0.0, "done")
        try:
            await asyncio.sleep(seconds)
        finally:
            self._at_work[event.id].discard(process.name)
            at_work.remove(whose)
        await self._befall(process, outcome)
        self.brought.add(event.id)

    async def _befall(self, process: Process, outcome: str) -> None:
        await process.alive()
        if outcome == "kills":
            self.crash(process.name)
            self.start()
            await process.alive()
        if outcome == "refused":
            raise Permanent("refused", "no")
        if outcome != "done":
            raise Transient("busy", retry_after=30.0 if outcome == "later" else None)

    def _read_on(self) -> None:
        for record in self.kafka.written[self._read :]:
            life = _life(record)
            if record.topic.endswith(".dead"):
                self._dead[life] += 1
            else:
                self._last[life] = max(self._last.get(life, (0, 0)), _place(record))
            if record.topic == "segment.transcribed":
                said = json.loads(record.value or b"")
                made = ids.event_id(UUID(said["job_id"]), SegmentReady.type, 1, str(said["index"]))
                self._made.add(str(made))
            elif record.topic == "usage.recorded":
                self._made.add(json.loads(record.value or b"")["usage_id"])
        self._read = len(self.kafka.written)

    def _describe(self, record: ToyRecord) -> str:
        event = _id(record)
        runs = self.runs[UUID(event)]
        return f"{record.topic}/{record.partition}/{record.offset} {event} attempt {_attempt(record)}, run {runs} times"


class _Leases:
    """A process's way to the store, which ends with the process."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._store = world.leases
        self._process = process

    async def acquire(self, name: str) -> Lease | None:
        await self._reach()
        return await self._store.acquire(name)

    async def renew(self, lease: Lease, *, alone: bool = False) -> bool:
        await self._reach()
        renewed = await self._store.renew(lease, alone=alone)
        if alone and self._world.unheard_marks:
            self._world.unheard_marks -= 1
            raise BlobsUnavailable("the answer was lost")
        return renewed

    async def release(self, lease: Lease) -> None:
        await self._reach()
        await self._store.release(lease)

    async def bury(self, lease: Lease, life: str) -> None:
        await self._reach()
        await self._store.bury(lease, life)

    async def _reach(self) -> None:
        await asyncio.sleep(self._world.store_seconds)
        await self._process.alive()


class _Control:
    """In the place of the control log: what users said reaches every process at once."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def cancelled(self, job: UUID) -> bool:
        return job in self._world.cancelled


@contextmanager
def world(seed: int, slots: int, *, commit_seconds: float = 0.5) -> Iterator[World]:
    """A world in which the bus finds a toy Kafka and virtual time in the places of the real ones.

    It commits less often than in ours, which makes no difference to it and saves turns.
    """
    made = World(seed, slots)
    virtual = made.loop.datetime()
    with ExitStack() as stack:
        for what, stand_in in {
            "common.bus.runtime.KafkaBroker": lambda servers, **_: ToyBroker(made.kafka, *servers),
            "common.bus.runtime.ControlLog": lambda *_: _Control(made),
            "common.bus.producer.AIOKafkaProducer": lambda **given: ToyClient(made.kafka, given["bootstrap_servers"]),
            "common.bus.runtime.COMMIT_SECONDS": commit_seconds,
            "common.bus.failures.datetime": virtual,
            "common.bus.retry.datetime": virtual,
            "common.bus.failures._jitter": random.Random(seed).uniform,
        }.items():
            stack.enter_context(patch(what, stand_in))
        stack.enter_context(structlog.testing.capture_logs())
        try:
            yield made
        finally:
            made.loop.end()


def _usage(event: SegmentTranscribed) -> UsageRecorded:
    return UsageRecorded(
        **event.job,
        usage_id=event.id,
        service="transcription",
        provider="none",
        endpoint="",
        model=None,
        audio_seconds=1.0,
        cost_usd=0.0,
    )


def _header(record: ToyRecord, name: str) -> bytes:
    return next((value for key, value in record.headers if key == name), b"")


def _life(record: ToyRecord) -> str:
    return f"{_id(record)} {_header(record, REPLAY).decode()}"


def _id(record: ToyRecord) -> str:
    return _header(record, "ce_id").decode()


def _job(record: ToyRecord) -> UUID:
    return UUID(_header(record, "ce_subject").decode())


def _place(record: ToyRecord) -> tuple[int, int]:
    return _attempt(record), record.number


def _attempt(record: ToyRecord) -> int:
    marked: Any = _header(record, "x-attempt").split()
    return int(marked[1]) if marked else 1

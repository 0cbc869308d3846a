"""Mode `batch`: one handler call for many events, its outputs acknowledged, then the offsets committed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import structlog

from common.bus import trace
from common.bus.crew import Crew, dismiss
from common.bus.failures import Failure, Failures
from common.bus.producer import Producer
from common.bus.record import Record, header
from common.bus.stage import BatchStage
from common.bus.subscription import Subscription, Taken
from common.envelope import Undecodable, decode
from common.errors import Permanent
from common.events import Event
from common.metrics import EVENTS, HANDLER_SECONDS

log = structlog.get_logger(__name__)

_BACKOFF = (0.2, 30.0)


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One decoded record of a batch."""

    event: Event
    topic: str
    partition: int
    offset: int
    taken: Taken


class Batches:
    """Runs one batch after the other; the next is not taken before the last is committed."""

    def __init__(self, stage: BatchStage, service: str, crew: Crew, *, producer: Producer, failures: Failures) -> None:
        self._crew = crew
        self._stage = stage
        self._service = service
        self._producer = producer
        self._failures = failures
        self._batch: list[Taken] = []
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._seconds = HANDLER_SECONDS.labels(service, "batch")
        self.running = 0
        """Whether the handler works now, 0 or 1."""
        topics = [topic for event in stage.events for topic in topics_of(event)]
        self.subscription = Subscription(
            topics, service, crew, sink=self._take, room=lambda: not self._batch, max_records=stage.max_records
        )

    def start(self) -> None:
        """Start handling batches."""
        self._task = self._crew.start(self._run())

    async def drain(self, seconds: float) -> bool:
        """Let the batch at work finish for at most ``seconds``; whether it did."""
        self._stopping.set()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            await dismiss(self._task)
        return True

    def _take(self, taken: list[Taken]) -> None:
        self._batch = taken
        if taken:
            self._ready.set()
        else:
            self.subscription.made_room()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await self._ready.wait()
            self._ready.clear()
            self._idle.clear()
            try:
                await self._handle(await self._decoded(self._batch))
                await self.subscription.commit()
            finally:
                self._count()
                self._idle.set()
            self._batch = []
            self.subscription.made_room()

    async def _decoded(self, taken: Sequence[Taken]) -> list[BatchRecord]:
        records = []
        for mark in taken:
            record = mark.record
            if record.value is None:
                self._finish(mark, record.topic, "tombstone")
                continue
            try:
                event = decode(record.value, record.headers)
            except Undecodable as error:
                await self._failures.bury(record, Failure("undecodable", error.reason, "Undecodable", permanent=True))
                self._finish(mark, record.topic, "undecodable")
                continue
            records.append(BatchRecord(event, record.topic, record.partition, record.offset, mark))
        return records

    async def _handle(self, records: Sequence[BatchRecord]) -> None:
        """Until every record is done, is dead, or was lost to another member."""
        wait = _BACKOFF[0]
        while records:
            records = [record for record in records if not record.taken.prefix.lost]
            try:
                await self._attempt(records)
            except Permanent as error:
                await self._halve(records, error)
                return
            except Exception as error:
                log.exception("batch failed, will try again", service=self._service, records=len(records), seconds=wait)
                asked = getattr(error, "retry_after", None) or 0.0
                if await self._stopped_within(max(wait, asked)):
                    return
                wait = min(wait * 2, _BACKOFF[1])
            else:
                return

    async def _attempt(self, records: Sequence[BatchRecord]) -> None:
        if not records:
            return
        started = perf_counter()
        self.running = 1
        try:
            outputs = list(await self._stage.handler(records))
        finally:
            self.running = 0
        self._seconds.observe(perf_counter() - started)
        parents = {record.event.job_id: record.taken.record for record in records} if outputs else {}
        sent = []
        for output in outputs:
            out = self._producer.outgoing(output, trace.child(_traceparent(parents.get(output.job_id))))
            sent.append((out, await self._producer.send(out)))
        for out, acknowledged in sent:
            await self._producer.settle(out, acknowledged)
        if outputs and self._stage.acknowledged is not None:
            await self._stage.acknowledged(outputs)
        for record in records:
            self._finish(record.taken, record.event.type, "done")

    async def _halve(self, records: Sequence[BatchRecord], error: Permanent) -> None:
        if len(records) > 1:
            middle = len(records) // 2
            await self._handle(records[:middle])
            # Later halves may depend on what came before them, so never past one that waits.
            if not self._stopping.is_set() or all(record.taken.finished for record in records[:middle]):
                await self._handle(records[middle:])
            return
        (record,) = records
        await self._failures.give_up(record.taken.record, record.event, Failure.of(error))
        self._finish(record.taken, record.event.type, "dead")

    def _finish(self, mark: Taken, kind: str, outcome: str) -> None:
        mark.finished = True
        self._outcomes[kind, outcome] += 1

    def _count(self) -> None:
        """Add a batch to the metrics; looking a counter up for each event costs more than recording it in a dict."""
        for (kind, outcome), number in self._outcomes.items():
            EVENTS.labels(self._service, kind, outcome).inc(number)
        self._outcomes.clear()

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def topics_of(event: type[Event]) -> tuple[str, ...]:
    """The topics an event is published on: one, or one for each lane."""
    return (f"{event.type}.interactive", f"{event.type}.bulk") if event.lanes else (event.type,)


def _traceparent(record: Record | None) -> bytes | None:
    return None if record is None else header(record.headers, "traceparent")

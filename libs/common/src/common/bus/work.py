"""What happens to one record of an `each` stage, from its bytes to its acknowledged outputs."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import structlog

from common.blobs import BlobsUnavailable
from common.bus import trace
from common.bus.acks import Acks
from common.bus.crew import Crew
from common.bus.failures import Failure, Failures, delivery_number, life_of
from common.bus.hold import Hold
from common.bus.prefix import Prefix
from common.bus.producer import Producer
from common.bus.record import Record
from common.bus.solitude import Solitude
from common.bus.stage import Before, Control, EachStage
from common.bus.subscription import Taken
from common.envelope import Undecodable, decode_attributes
from common.errors import Transient
from common.events import Event
from common.leases import Leases
from common.metrics import EVENTS, HANDLER_SECONDS, OUTCOMES

log = structlog.get_logger(__name__)

PARK_SECONDS = 1.0
"""How long an event whose lease is held elsewhere waits, off the work slots, before it is looked at again."""
_PROGRESS_SECONDS = 1.0
_SUSPECT = 2
"""Holders that fell silent over an event, after which it runs alone."""
_POISON = 2
"""Holders that fell silent while it ran alone, after which it is put aside.

One such end proves little where processes are killed from outside all the time.
"""
_CUT_OFF = 10
"""Holders that fell silent over what is done before an event, after which it is put aside.

It never runs alone, so that others may have ended its process: more than one of those that are found out take to go.
"""


class Delivery(Taken):
    """One record on its way through a stage."""

    __slots__ = ("bulk", "claim", "key", "prepared")

    def __init__(self, record: Record, prefix: "Prefix[Any]", *, bulk: bool) -> None:
        super().__init__(record, prefix)
        self.bulk = bulk
        self.claim: bytes | None = None
        """Id under which it runs or is parked; nothing else with this id runs meanwhile."""
        self.key: bytes | None = None
        self.prepared = False
        """What is to be done before was done."""


class EventContext:
    """What a handler may ask while it works on one event."""

    __slots__ = ("_control", "_event", "_producer", "_record", "_service", "traceparent")

    def __init__(self, record: Record, event: Event, worker: "Worker", traceparent: bytes) -> None:
        self._record = record
        self._event = event
        self._service = worker.service
        self._control = worker.control
        self._producer = worker.producer
        self.traceparent = traceparent

    @property
    def delivery(self) -> int:
        """Which delivery of the event this is, counted from 1 over all delayed retries."""
        return delivery_number(self._record, self._service)

    def cancelled(self) -> bool:
        """Whether the job was cancelled or deleted."""
        return self._control.cancelled(self._event.job_id)

    async def publish(self, event: Event) -> None:
        """Hand an event over at once, without waiting for its acknowledgement; progress may be lost, never raises."""
        try:
            async with asyncio.timeout(_PROGRESS_SECONDS):
                sent = await self._producer.send(self._producer.outgoing(event, self.traceparent))
                sent.add_done_callback(_ignore)
        except TimeoutError:
            log.info("progress was not published", type=event.type, job_id=str(event.job_id))
        except Exception:
            log.exception("progress was not published", type=event.type, job_id=str(event.job_id))


@dataclass(frozen=True)
class _Course:
    """What is done with an event: the handler, or what is to be done before it.

    Without ``solitude`` it never runs alone. What is done before may take an hour: to wait for its end, or to have
    others wait for it, would stop the whole process.
    """

    step: Callable[[Delivery, Event, EventContext], Awaitable[None]]
    solitude: Solitude | None = None


class Worker:
    """Runs deliveries of one stage; every path ends in `finish`, or in the record being given back to the log.

    Parameters
    ----------
    again
        Called with deliveries that shall have another turn.
    aside
        Called with deliveries for which something is to be done before, and whose they are; `prepare` does it.
    """

    def __init__(
        self,
        stage: EachStage,
        service: str,
        *,
        producer: Producer,
        control: Control,
        failures: Failures,
        leases: Leases | None,
        lease_ttl: float,
        solitude: Solitude,
        crew: Crew,
        again: Callable[[Delivery], None],
        aside: Callable[[Delivery, str], None],
    ) -> None:
        self.service = service
        self.producer = producer
        self.control = control
        self._stage = stage
        self._handler = stage.handler
        self._failures = failures
        self._leases = leases
        self._beat_seconds = lease_ttl / 3
        self._again = again
        self._aside = aside
        self._handling = _Course(self._attempt, solitude)
        self._preparing = _Course(self._prepare)
        self._claims: dict[bytes, deque[Delivery] | None] = {}
        self._keys: dict[bytes, deque[Delivery]] = {}
        self._parked: set[asyncio.TimerHandle] = set()
        self._acks = Acks(producer, crew, self._acknowledged)
        kind = stage.event.type
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._counters = {outcome: EVENTS.labels(service, kind, outcome) for outcome in OUTCOMES}
        self._seconds = HANDLER_SECONDS.labels(service, kind)
        if stage.leased and leases is None:
            msg = f"the stage {kind} of {service} is leased, but the service has no leases"
            raise ValueError(msg)

    def start(self) -> None:
        """Start watching acknowledgements."""
        self._acks.start()

    async def stop(self, seconds: float) -> None:
        """Wait for outputs under way for at most ``seconds``; parked deliveries stay with the log."""
        for handle in self._parked:
            handle.cancel()
        await self._acks.drain(seconds)

    def count(self) -> None:
        """Add to the metrics what was counted since the last time; a counter's lock costs too much for each event."""
        for outcome, number in self._outcomes.items():
            if number:
                self._counters[outcome].inc(number)
                self._outcomes[outcome] = 0

    def admit(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Those that may wait for a lane now; in an ordered stage the rest wait for their key."""
        if not self._stage.ordered:
            return deliveries
        admitted = []
        for delivery in deliveries:
            key = delivery.record.key
            if key is not None:
                delivery.key = key
                queue = self._keys.get(key)
                if queue is not None:
                    queue.append(delivery)
                    continue
                self._keys[key] = deque()
            admitted.append(delivery)
        return admitted

    async def run(self, delivery: Delivery) -> None:
        """Deal with one delivery."""
        if delivery.prefix.lost:
            self._drop(delivery)
            return
        record = delivery.record
        if record.value is None:
            self._finish(delivery, "tombstone")
            return
        try:
            attributes = dict(record.headers)
            event = decode_attributes(record.value, attributes)
        except Undecodable as error:
            await self._failures.bury(record, Failure("undecodable", error.reason, "Undecodable", permanent=True))
            self._finish(delivery, "undecodable")
            return
        if self.control.cancelled(event.job_id):
            self._finish(delivery, "cancelled")
            return
        if delivery.claim is None and not self._claim(delivery, attributes["ce_id"]):
            return
        context = EventContext(record, event, self, trace.child(attributes.get("traceparent")))
        try:
            before = self._stage.before
            if before is None or delivery.prepared or not await self._sent_aside(before, delivery, event, context):
                await self._follow(self._handling, delivery, event, context)
        except asyncio.CancelledError:
            if not delivery.finished:  # it may be done, and only its lease not yet given back
                self._drop(delivery)
            raise

    async def prepare(self, delivery: Delivery) -> None:
        """Do what is to be done before with one delivery that was put aside, then let it have its turn."""
        if delivery.prefix.lost:
            self._drop(delivery)
            return
        record = delivery.record
        attributes = dict(record.headers)
        event = decode_attributes(record.value or b"", attributes)  # was readable before it was put aside
        if self.control.cancelled(event.job_id):
            self._finish(delivery, "cancelled")
            return
        context = EventContext(record, event, self, trace.child(attributes.get("traceparent")))
        try:
            await self._follow(self._preparing, delivery, event, context)
        except asyncio.CancelledError:
            if not delivery.finished:
                self._drop(delivery)
            raise
        if delivery.prepared:
            self._again(delivery)

    async def _sent_aside(self, before: Before, delivery: Delivery, event: Event, context: EventContext) -> bool:
        try:
            if not await before.needed(event):
                return False
        except Exception as error:
            await self._fail(delivery, event, error, context)
        else:
            self._aside(delivery, event.owner)
        return True

    async def _prepare(self, delivery: Delivery, event: Event, context: EventContext) -> None:
        try:
            if self._stage.before is not None:
                await self._stage.before.handler(event, context)
        except Exception as error:
            await self._fail(delivery, event, error, context)
        else:
            delivery.prepared = True

    async def _follow(self, course: _Course, delivery: Delivery, event: Event, context: EventContext) -> None:
        if self._leases is not None and self._stage.leased:
            await self._leased(course, delivery, event, context, self._leases)
        else:
            await self._beside_others(course, delivery, event, context)

    async def _beside_others(self, course: _Course, delivery: Delivery, event: Event, context: EventContext) -> None:
        solitude = course.solitude
        if solitude is None:
            await course.step(delivery, event, context)
            return
        if solitude.closed:
            await solitude.opened()
        solitude.enter()
        try:
            await course.step(delivery, event, context)
        finally:
            solitude.leave()

    async def _attempt(self, delivery: Delivery, event: Event, context: EventContext) -> None:
        started = perf_counter()
        try:
            outputs = await self._handler(event, context)
            self._seconds.observe(perf_counter() - started)
            under_way = []
            for output in outputs:
                out = self.producer.outgoing(output, context.traceparent)
                under_way.append((out, await self.producer.send(out)))
        except Exception as error:
            await self._fail(delivery, event, error, context)
            return
        if not under_way:
            self._finish(delivery, "done")
        elif self._stage.leased:
            for out, acknowledged in under_way:
                await self.producer.settle(out, acknowledged)
            self._finish(delivery, "done")
        else:
            self._acks.add(delivery, under_way)

    async def _fail(self, delivery: Delivery, event: Event, error: Exception, context: EventContext) -> None:
        failure = Failure.of(error)
        if failure.code == "internal":
            log.error("handler failed", type=event.type, job_id=str(event.job_id), exc_info=error)
        outcome = await self._failures.failed(delivery.record, event, failure, context.traceparent)
        self._finish(delivery, outcome)

    async def _leased(
        self, course: _Course, delivery: Delivery, event: Event, context: EventContext, leases: Leases
    ) -> None:
        try:
            lease = await leases.acquire(str(event.id))
        except BlobsUnavailable as error:
            await self._fail(delivery, event, Transient(str(error) or "the store is not available"), context)
            return
        if lease is None:
            self._park(delivery)
            return
        life = life_of(delivery.record)
        hold = Hold(leases, lease, self._beat_seconds)
        try:
            if lease.buried == life:
                log.info("was put aside before", type=event.type, job_id=str(event.job_id))
                hold.bury(life)
                self._finish(delivery, "duplicate")
            elif lease.takeovers < (_CUT_OFF if course.solitude is None else _SUSPECT):
                await self._beside_others(course, delivery, event, context)
            elif course.solitude is None:
                await self._put_aside(delivery, event, hold, life)
            else:
                hold.let_lapse()  # stopped while it waits for the others, what is known of it must not be forgotten
                # Whatever ends this program meanwhile, it is no other event.
                async with course.solitude.alone():
                    if not await hold.mark_alone():
                        self._park(delivery)
                    elif lease.alone >= _POISON:
                        await self._put_aside(delivery, event, hold, life)
                    else:
                        hold.release()
                        await course.step(delivery, event, context)
                        # The next to begin may end this program, and the lease would blame this event, which is done.
                        await hold.give_back()
        finally:
            await hold.give_back()

    async def _put_aside(self, delivery: Delivery, event: Event, hold: Hold, life: str) -> None:
        poison = Failure("poison", "Working on this ended our program several times.", "Poison", permanent=True)
        outcome = await self._failures.failed(delivery.record, event, poison)
        # Its offset may be committed only after the next event has ended this program.
        hold.bury(life)
        await hold.give_back()
        self._finish(delivery, outcome)

    def _claim(self, delivery: Delivery, claim: bytes) -> bool:
        if claim in self._claims:
            waiting = self._claims[claim]
            if waiting is None:
                waiting = self._claims[claim] = deque()
            waiting.append(delivery)
            return False
        self._claims[claim] = None
        delivery.claim = claim
        return True

    def _park(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()

        def unpark() -> None:
            self._parked.discard(handle)
            self._again(delivery)

        handle = loop.call_later(PARK_SECONDS, unpark)
        self._parked.add(handle)

    def _acknowledged(self, delivery: Delivery) -> None:
        self._finish(delivery, "done")

    def _finish(self, delivery: Delivery, outcome: str) -> None:
        delivery.finished = True
        self._outcomes[outcome] += 1
        if delivery.claim is not None:
            for twin in self._claims.pop(delivery.claim) or ():
                if self._outlives(twin, delivery, outcome):
                    self._again(twin)
                else:
                    self._finish(twin, "duplicate")
        if delivery.key is not None:
            self._next_of(delivery.key)
        # Behind an unfinished one thousands may wait to be committed: keep their offsets, not their bytes.
        del delivery.record

    def _outlives(self, twin: Delivery, delivery: Delivery, outcome: str) -> bool:
        if life_of(twin.record) != life_of(delivery.record):
            # A dead letter that was put back, met by a copy of what it was: who carries that on may be aside already.
            return outcome in {"dead", "duplicate", "retried"}
        # The retry itself, back before the broker had answered that it has it: nobody else carries it.
        return outcome == "retried" and self._number(twin) > self._number(delivery)

    def _number(self, delivery: Delivery) -> int:
        return delivery_number(delivery.record, self.service)

    def _drop(self, delivery: Delivery) -> None:
        """Leave a delivery to whoever reads its partition next."""
        if delivery.claim is not None:
            for twin in self._claims.pop(delivery.claim) or ():
                self._again(twin)
        if delivery.key is not None:
            self._next_of(delivery.key)

    def _next_of(self, key: bytes) -> None:
        queue = self._keys[key]
        if queue:
            self._again(queue.popleft())
        else:
            del self._keys[key]


def _ignore(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()

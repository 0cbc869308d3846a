"""Sends what is due, many at once; a receiver earns its places by answering, so that a dead one delays nobody."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter as Metric

from common.errors import Transient
from notifier.ports import Delivery, Outcome, Queue, Sender
from notifier.schedule import next_wait

log = structlog.get_logger(__name__)

ATTEMPTS = Metric(
    "scribewire_webhook_attempts", "Webhook attempts by how they ended: delivered, postponed, failed.", ["outcome"]
)
_FIRST = 2
"""Attempts under way at once to a destination nothing is known of: it may be dead, and each costs a whole time-out."""
_REMEMBERED = 1_000
"""Destinations whose places are kept in mind; the one longest not heard of is forgotten, and begins anew."""


class Courier:
    """Runs beside the bus until it is cancelled.

    Parameters
    ----------
    queue
        Where deliveries are kept.
    sender
        Who makes an attempt.
    slots
        Attempts under way at once; a destination begins with two, each answer earns it
        one more up to a twentieth of all, and silence leaves it one.
    claim_seconds
        How long a claim lasts; longer than an attempt takes.
    poll_seconds
        Pause between looks when nothing tells of new deliveries.
    scale
        Factor on every wait between attempts.
    stop_seconds
        How long attempts under way may go on when the courier is cancelled; the others' claims lapse.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        sender: Sender,
        slots: int,
        claim_seconds: float,
        poll_seconds: float = 1.0,
        scale: float = 1.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._slots = slots
        self._most = max(1, slots // 20)
        self._first = min(_FIRST, self._most)
        self._claim_seconds = claim_seconds
        self._poll_seconds = poll_seconds
        self._scale = scale
        self._stop_seconds = stop_seconds
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._places: dict[str, int] = {}

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._woken.set()

    async def __call__(self) -> None:
        """Send for ever."""
        try:
            while True:
                self._woken.clear()
                if not await self._take():
                    await self._pause()
        finally:
            await self._finish()

    async def _take(self) -> bool:
        """Start what is due and fits; whether there may be more."""
        if len(self._running) >= self._slots:
            return False
        try:
            claimed = await self._queue.claim(
                self._slots - len(self._running),
                share=self._first,
                places={
                    destination: max(0, self._places.get(destination, self._first) - self._busy[destination])
                    for destination in {*self._busy, *self._places}
                },
                seconds=self._claim_seconds,
            )
        except Transient as error:
            log.warning("webhooks wait", reason=error.message)
            return False
        for delivery in claimed:
            self._busy[delivery.destination] += 1
            task = asyncio.create_task(self._attempt(delivery))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return bool(claimed)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("a webhook attempt broke", exc_info=error)

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            if delivery.gone is not None:
                reason = delivery.gone
                await self._note(lambda: self._queue.given_up(delivery, reason))
                return
            outcome = await self._sent(delivery)
            self._learn(delivery.destination, answered=outcome.status is not None)
            await self._judge(delivery, outcome)
        finally:
            self._busy[delivery.destination] -= 1
            if not self._busy[delivery.destination]:
                del self._busy[delivery.destination]

    async def _sent(self, delivery: Delivery) -> Outcome:
        try:
            return await self._sender.send(delivery)
        except Exception:
            # It counts as an attempt all the same: one that is not counted would be made for ever.
            log.exception("a webhook attempt broke", delivery=str(delivery.id))
            return Outcome(None, "the attempt broke on our side")

    async def _judge(self, delivery: Delivery, outcome: Outcome) -> None:
        wait = next_wait(delivery.attempts + 1, outcome.retry_after)
        if outcome.delivered:
            ATTEMPTS.labels("delivered").inc()
            await self._note(lambda: self._queue.delivered(delivery, outcome))
        elif outcome.unwanted or wait is None:
            ATTEMPTS.labels("failed").inc()
            log.warning("webhook given up", delivery=str(delivery.id), status=outcome.status, reason=outcome.error)
            await self._note(lambda: self._queue.failed(delivery, outcome))
            endpoint = delivery.endpoint_id
            if outcome.unwanted and endpoint is not None:
                await self._note(lambda: self._queue.disable(endpoint, "it answered 410 Gone"))
        else:
            ATTEMPTS.labels("postponed").inc()
            log.info("webhook postponed", delivery=str(delivery.id), status=outcome.status, reason=outcome.error)
            await self._note(lambda: self._queue.postponed(delivery, outcome, wait * self._scale))

    async def _note(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, and again while the database is away; given up when the claim lapses, as then others try anyway."""
        try:
            async with asyncio.timeout(self._claim_seconds):
                while True:
                    try:
                        return await write()
                    except Transient:
                        await asyncio.sleep(self._poll_seconds)
        except TimeoutError:
            log.warning("an attempt's end could not be noted; it will be made again")

    def _learn(self, destination: str, *, answered: bool) -> None:
        before = self._places.pop(destination, self._first)
        self._places[destination] = min(before + 1, self._most) if answered else 1
        if len(self._places) > _REMEMBERED:
            del self._places[next(iter(self._places))]

    async def _finish(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=self._stop_seconds)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

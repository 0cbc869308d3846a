"""Whether consuming stands still although there is something to consume."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from common.bus.crew import Crew, dismiss
from common.bus.subscription import Subscription
from common.metrics import LAG

log = structlog.get_logger(__name__)

STUCK_SECONDS = 60.0
"""How long nothing may be taken and nothing committed while records wait."""
LOOK_SECONDS = 10.0
_ANSWER_SECONDS = 5.0


class Watchdog:
    """Looks every ten seconds at each subscription: its lag, and whether it moved since the last look.

    Parameters
    ----------
    subscriptions
        What to watch.
    """

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        crew: Crew,
        *,
        look_seconds: float = LOOK_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        self._subscriptions = subscriptions
        self._crew = crew
        self._look_seconds = look_seconds
        self._stuck_seconds = stuck_seconds
        self._moved: dict[str, tuple[object, float]] = {}
        self._ticked = monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start looking."""
        self._task = self._crew.start(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        await dismiss(self._task)

    def tick(self) -> None:
        """Say that the event loop and the commits still run."""
        self._ticked = monotonic()

    def stuck(self) -> list[str]:
        """Which subscriptions stand still, and whether the commits do."""
        if self._task is None:
            return []
        now = monotonic()
        reasons = [
            f"{group} has not moved for {now - since:.0f} s although records wait"
            for group, (_, since) in self._moved.items()
            if now - since > self._stuck_seconds
        ]
        if now - self._ticked > self._stuck_seconds:
            reasons.append("commits stand still")
        return reasons

    async def _run(self) -> None:
        while True:
            for subscription in self._subscriptions:
                try:
                    await self._look(subscription)
                except (KafkaError, IllegalStateError, TimeoutError):
                    # The broker is away or the group rebalances: a restart would not help, so this is no standstill.
                    self._moved.pop(subscription.group, None)
            await asyncio.sleep(self._look_seconds)

    async def _look(self, subscription: Subscription) -> None:
        consumer = subscription.consumer
        partitions: list[TopicPartition] = [] if consumer is None else list(consumer.assignment())
        if consumer is None or not partitions:
            LAG.labels(subscription.group).set(0)
            self._moved.pop(subscription.group, None)
            return
        async with asyncio.timeout(_ANSWER_SECONDS):
            ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(_ANSWER_SECONDS):
            positions = {partition: await consumer.position(partition) for partition in partitions}
        unread = sum(max(0, ends[partition] - positions[partition]) for partition in partitions)
        LAG.labels(subscription.group).set(unread + subscription.held)
        state = (positions, subscription.progress)
        before = self._moved.get(subscription.group)
        # A full window is not a standstill: its handlers work, and they have time limits of their own.
        if unread == 0 or subscription.full or before is None or before[0] != state:
            self._moved[subscription.group] = (state, monotonic())

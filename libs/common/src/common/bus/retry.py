"""A service's retry topics: each record is held until it is due, then sent back where it came from."""

import asyncio
import heapq
from collections.abc import Collection
from datetime import UTC, datetime
from itertools import count

import structlog

from common.bus.crew import Crew, dismiss
from common.bus.failures import Failures, without_marks
from common.bus.producer import Outgoing, Producer
from common.bus.record import Record, header
from common.bus.subscription import Subscription, Taken
from common.topics import retries

log = structlog.get_logger(__name__)

HELD = 5_000
"""Records that may wait in this process before no more are taken."""


class Retries:
    """Waits without working: a record stays uncommitted until it is back on its topic, so that it outlives a restart.

    Parameters
    ----------
    origins
        Topics records may be sent back to.
    longest
        Seconds of the longest retry topic; whoever is to wait longer goes round again.
    """

    def __init__(
        self,
        service: str,
        producer: Producer,
        failures: Failures,
        crew: Crew,
        *,
        origins: Collection[str],
        longest: float,
    ) -> None:
        self._crew = crew
        self._producer = producer
        self._failures = failures
        self._origins = frozenset(origins)
        self._longest = longest
        self._heap: list[tuple[float, int, Taken]] = []
        self._number = count()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.subscription = Subscription(
            retries(service),
            f"{service}.retry",
            crew,
            sink=self._hold,
            room=lambda: len(self._heap) < HELD,
        )

    def start(self) -> None:
        """Start sending back what is due."""
        self._task = self._crew.start(self._run())

    async def stop(self) -> None:
        """Stop; what is not yet due stays with the log."""
        await dismiss(self._task)

    def _hold(self, taken: list[Taken]) -> None:
        now = datetime.now(UTC).timestamp()
        if len(self._heap) > HELD // 2:
            self._heap = [entry for entry in self._heap if not entry[2].prefix.lost]
            heapq.heapify(self._heap)
        for mark in taken:
            due = min(_due(mark.record), now + self._longest)
            heapq.heappush(self._heap, (due, next(self._number), mark))
        self._changed.set()

    async def _run(self) -> None:
        while True:
            now = datetime.now(UTC).timestamp()
            if not self._heap or self._heap[0][0] > now:
                self._changed.clear()
                wait = self._heap[0][0] - now if self._heap else None
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            _, _, mark = heapq.heappop(self._heap)
            if not mark.prefix.lost:
                await self._send_back(mark.record)
                mark.finished = True
            if len(self._heap) < HELD:
                self.subscription.made_room()

    async def _send_back(self, record: Record) -> None:
        origin = (header(record.headers, "x-origin") or b"").decode(errors="replace")
        left = _due(record) - datetime.now(UTC).timestamp()
        if left > 0.001:
            out = Outgoing(self._failures.topic_for(left), record.key, record.value, list(record.headers))
        elif origin in self._origins:
            out = Outgoing(origin, record.key, record.value, without_marks(record.headers))
        else:
            log.error(
                "a retry of no topic of ours was dropped", topic=record.topic, offset=record.offset, origin=origin
            )
            return
        await self._producer.deliver(out)


def _due(record: Record) -> float:
    try:
        return datetime.fromisoformat((header(record.headers, "x-not-before") or b"").decode()).timestamp()
    except ValueError:
        return 0.0

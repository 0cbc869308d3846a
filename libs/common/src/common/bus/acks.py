"""Outputs under way: deliveries whose handler is done, until the broker has acknowledged what came out of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from common.bus.crew import Crew, dismiss
from common.bus.producer import Outgoing, Producer

UnderWay = list[tuple[Outgoing, "asyncio.Future[Any]"]]


class Acks:
    """Waits for acknowledgements so that lanes need not; one task for all of them, nothing per event.

    Parameters
    ----------
    producer
        Delivers again what failed.
    settled
        Called once everything that came out of a delivery is acknowledged.
    """

    def __init__(self, producer: Producer, crew: Crew, settled: Callable[[Any], None]) -> None:
        self._crew = crew
        self._producer = producer
        self._settled = settled
        self._queue: deque[tuple[Outgoing, asyncio.Future[Any], Any]] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._watching: asyncio.Task[None] | None = None

    def add(self, delivery: Any, under_way: UnderWay) -> None:
        """Watch a delivery's outputs."""
        last = len(under_way) - 1
        for number, (out, acknowledged) in enumerate(under_way):
            self._queue.append((out, acknowledged, delivery if number == last else None))
        if not self._more.is_set():
            self._empty.clear()
            self._more.set()

    def start(self) -> None:
        """Start watching."""
        self._watching = self._crew.start(self._watch())

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way for at most ``seconds``, then stop watching."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            pass
        await dismiss(self._watching)

    async def _watch(self) -> None:
        queue = self._queue
        while True:
            if not queue:
                self._more.clear()
                self._empty.set()
                await self._more.wait()
            out, acknowledged, delivery = queue[0]
            # Most are done by the time it is their turn: awaiting those would cost a coroutine each.
            if not acknowledged.done() or acknowledged.exception() is not None:
                await self._producer.settle(out, acknowledged)
            queue.popleft()
            if delivery is not None:
                self._settled(delivery)

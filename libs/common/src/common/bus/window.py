"""The commit window of one stage: long-lived lanes that take what waits, interactive before bulk."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What waits in a window."""

    bulk: bool


W = TypeVar("W", bound=Waiting)

QUEUED = 500
"""Records that may wait in one lane before no more are taken from its topic."""
_TURN = 64
"""Handlers that never wait are run this often in a row before others on the event loop have their turn."""


class Window(Generic[W]):
    """``slots`` lanes that run what is put in, first come first served; bulk leaves a reserve to interactive.

    Parameters
    ----------
    slots
        How many run at once. Bulk may use all but a quarter of them, and all but one when there are two or three.
    run
        Runs one item; must not raise.
    """

    def __init__(self, slots: int, run: Callable[[W], Awaitable[None]]) -> None:
        self._slots = slots
        self._bulk_slots = slots - max(1, slots // 4) if slots > 1 else 1
        self._run = run
        self._interactive: deque[W] = deque()
        self._bulk: deque[W] = deque()
        self._bulk_running = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._lanes: list[asyncio.Task[None]] = []
        self.running = 0
        """How many run now."""

    def start(self) -> None:
        """Start the lanes."""
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(self._slots)]

    def room(self, *, bulk: bool) -> bool:
        """Whether more may be put into a lane's queue."""
        return len(self._bulk if bulk else self._interactive) < QUEUED

    def put(self, items: list[W]) -> None:
        """Let some more wait their turn."""
        for item in items:
            (self._bulk if item.bulk else self._interactive).append(item)
        self._wake(len(items))

    def put_first(self, item: W) -> None:
        """Let one wait that has waited before."""
        (self._bulk if item.bulk else self._interactive).appendleft(item)
        self._wake(1)

    def clear(self) -> None:
        """Forget what waits."""
        self._interactive.clear()
        self._bulk.clear()

    async def drain(self, seconds: float) -> bool:
        """Run nothing more and let what runs finish; cancel what has not after ``seconds``. Whether all had."""
        self.clear()
        self._wake(self._slots)
        deadline = asyncio.get_running_loop().time() + seconds
        while self.running and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        finished = not self.running
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        return finished

    def _wake(self, count: int) -> None:
        while count and self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _next(self) -> W | None:
        if self._interactive:
            return self._interactive.popleft()
        if self._bulk and self._bulk_running < self._bulk_slots:
            return self._bulk.popleft()
        return None

    async def _lane(self) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            item = self._next()
            if item is None:
                waiter = loop.create_future()
                self._idle.append(waiter)
                await waiter
                continue
            bulk = item.bulk
            self._bulk_running += bulk
            self.running += 1
            try:
                await self._run(item)
            finally:
                self.running -= 1
                self._bulk_running -= bulk
            turn += 1
            if turn >= _TURN:
                turn = 0
                await asyncio.sleep(0)

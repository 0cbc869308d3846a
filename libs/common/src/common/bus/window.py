"""The commit window of one stage: long-lived lanes that take what waits, interactive before bulk."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from common.bus.crew import Crew, dismiss


class Waiting(Protocol):
    """What waits in a window."""

    bulk: bool


W = TypeVar("W", bound=Waiting)

QUEUED = 500
"""Records that may wait in one lane before no more are taken from its topic."""
_LOW = QUEUED // 2
_TURN = 64
"""Handlers that never wait are run this often in a row before others on the event loop have their turn."""


class Window(Generic[W]):
    """``slots`` lanes that run what is put in, first come first served; bulk leaves a reserve to interactive.

    Parameters
    ----------
    slots
        How many run at once. Bulk may use all but a quarter of them, and all but one when there are two or three.
    made_room
        Called when a lane's queue has become short again.
    """

    def __init__(self, slots: int, crew: Crew, made_room: Callable[[], None]) -> None:
        self._crew = crew
        self._slots = slots
        self._bulk_slots = slots - max(1, slots // 4) if slots > 1 else 1
        self._made_room = made_room
        self._interactive: deque[W] = deque()
        self._bulk: deque[W] = deque()
        self._bulk_running = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._draining = False
        self._lanes: list[asyncio.Task[None]] = []
        self.running = 0
        """How many run now."""

    def start(self, run: Callable[[W], Awaitable[None]]) -> None:
        """Start the lanes; ``run`` deals with one item and must not raise."""
        self._lanes = [self._crew.start(self._lane(run)) for _ in range(self._slots)]

    def room(self, *, bulk: bool) -> bool:
        """Whether more may be put into a lane's queue."""
        return len(self._bulk if bulk else self._interactive) < QUEUED

    def put(self, items: list[W]) -> None:
        """Let some more wait their turn."""
        if self._draining:
            return
        for item in items:
            (self._bulk if item.bulk else self._interactive).append(item)
        self._wake(len(items))

    def put_first(self, item: W) -> None:
        """Let one wait that has waited before."""
        if self._draining:
            return
        (self._bulk if item.bulk else self._interactive).appendleft(item)
        self._wake(1)

    def clear(self) -> None:
        """Forget what waits."""
        self._interactive.clear()
        self._bulk.clear()
        self._made_room()

    async def drain(self, seconds: float) -> bool:
        """Run nothing more and let what runs finish; cancel what has not after ``seconds``. Whether all had."""
        self._draining = True
        self.clear()
        self._wake(self._slots)
        unfinished: set[asyncio.Task[None]] = set()
        if self._lanes:
            _, unfinished = await asyncio.wait(self._lanes, timeout=seconds)
        await dismiss(*unfinished)
        return not unfinished

    def _wake(self, count: int) -> None:
        while count and self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _next(self) -> W | None:
        if self._interactive:
            queue = self._interactive
        elif self._bulk and self._bulk_running < self._bulk_slots:
            queue = self._bulk
        else:
            return None
        item = queue.popleft()
        if len(queue) == _LOW:
            self._made_room()
        return item

    async def _lane(self, run: Callable[[W], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        while True:
            item = self._next()
            if item is None:
                if self._draining:
                    return
                waiter = loop.create_future()
                self._idle.append(waiter)
                await waiter
                continue
            bulk = item.bulk
            self._bulk_running += bulk
            self.running += 1
            try:
                await run(item)
            finally:
                self.running -= 1
                self._bulk_running -= bulk
            turn += 1
            if turn >= _TURN:
                turn = 0
                await asyncio.sleep(0)

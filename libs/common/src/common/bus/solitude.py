"""Running one event alone in this process, so that a crash can be blamed on it and on nothing beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Solitude:
    """Counts the handlers of a process and lets one run while no other does.

    A handler begins with ``if closed: await opened()`` and `enter`, and ends with `leave`: mostly no coroutine.
    """

    def __init__(self) -> None:
        self._running = 0
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._turn = asyncio.Lock()
        self.closed = False
        """Whether no handler may begin now."""

    async def opened(self) -> None:
        """Wait until handlers may begin."""
        while self.closed:
            await self._open.wait()

    def enter(self) -> None:
        """Begin a handler."""
        self._running += 1

    def leave(self) -> None:
        """End a handler."""
        self._running -= 1
        if self.closed and self._running == 0:
            self._quiet.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until no handler runs, and hold new ones until the block is left. Not between `enter` and `leave`."""
        async with self._turn:
            self.closed = True
            self._open.clear()
            try:
                if self._running:
                    self._quiet.clear()
                    await self._quiet.wait()
                yield
            finally:
                self.closed = False
                self._open.set()

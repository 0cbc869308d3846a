"""File work off the event loop, never abandoned half way."""

import asyncio
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread and wait for its end, also when this task is cancelled meanwhile.

    A thread cannot be stopped, so a cancelled caller first waits until the file is no longer in use and may then
    clean up behind it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait({running})
            except asyncio.CancelledError:
                continue
        if not running.cancelled():
            running.exception()  # looked at, so that it is not reported as forgotten
        raise


class Behind:
    """One piece of work at a time in a thread, while its caller goes on; an asynchronous context manager.

    Leaving the context waits until no thread is at work, whatever ended the block and also when the task is cancelled
    meanwhile; what the work raised is raised by the next `begin` or `done`, not by leaving.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[object] | None = None

    async def __aenter__(self) -> Self:
        """Nothing is at work yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is still at work."""
        cancelled: asyncio.CancelledError | None = None
        while self._running is not None and not self._running.done():
            try:
                await asyncio.wait({self._running})
            except asyncio.CancelledError as again:
                cancelled = again
        if self._running is not None:
            self._running.exception()  # looked at, so that it is not reported as forgotten
        if cancelled is not None and kind is None:
            raise cancelled

    async def begin(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Start work when what was begun before is done."""
        await self.done()
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(None, partial(work, *args, **kwargs))

    async def done(self) -> None:
        """Wait for the end of what was begun, and raise what it raised."""
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None

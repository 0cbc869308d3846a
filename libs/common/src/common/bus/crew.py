"""The background tasks of a bus: one that ends with an error is a bug, and never a silent one."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Crew:
    """Tasks that run until they are dismissed; the first error among them stands for all."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        """What one of them died of."""
        self._broken = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def fail(self, error: BaseException) -> None:
        """Note an error that must not pass: the process cannot be trusted to finish what it took."""
        log.critical("the bus is broken", exc_info=error)
        self.error = self.error or error
        self._broken.set()

    async def broken(self) -> None:
        """Wait until one has died, and raise what it died of."""
        await self._broken.wait()
        if self.error is not None:
            raise self.error

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)


async def dismiss(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks and wait until they are gone."""
    present = [task for task in tasks if task is not None]
    for task in present:
        task.cancel()
    await asyncio.gather(*present, return_exceptions=True)


async def close(what: str, closing: Coroutine[Any, Any, None], seconds: float = 10.0) -> None:
    """Close something that may hang or fail while Kafka is away; neither is passed on.

    In a task of its own, because aiokafka's `stop` lets out the `CancelledError` of tasks that it cancels itself.
    """
    task = asyncio.create_task(closing)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        log.warning("closing took too long", what=what)
        await dismiss(task)
    elif task.cancelled() or task.exception() is not None:
        log.warning("closing did not end well", what=what)

"""Users' words about jobs: `job.control`, read from its start to its end before work begins, then followed."""

import asyncio
from uuid import UUID

import structlog

from common.bus.crew import Crew, dismiss
from common.bus.follow import Followed, Log
from common.events import JobControl

log = structlog.get_logger(__name__)


class ControlLog:
    """Which jobs were cancelled or deleted, as far as the log says.

    Parameters
    ----------
    bootstrap
        Kafka's bootstrap servers.
    crew
        Who hears when following has failed for good.
    """

    def __init__(self, bootstrap: str, crew: Crew | None = None) -> None:
        self._crew = crew or Crew()
        self._log = Log(bootstrap, (JobControl.type,), from_start=True)
        self._cancelled: set[UUID] = set()
        self._deleted: set[UUID] = set()
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything said so far, then follow in the background; waits as long as Kafka is away."""
        await self._log.open()
        async for followed in self._log.to_end():
            self._hear(followed)
        self._following = self._crew.start(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        await dismiss(self._following)
        await self._log.close()

    def cancelled(self, job: UUID) -> bool:
        """Whether the job was cancelled or deleted."""
        # Nearly always there are none, and hashing an id costs more than asking for that.
        return bool(self._cancelled) and job in self._cancelled

    def deleted(self, job: UUID) -> bool:
        """Whether the job was deleted."""
        return job in self._deleted

    async def wait_cancelled(self, job: UUID) -> None:
        """Return when the job is cancelled or deleted."""
        if job in self._cancelled:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job, set()).add(future)
        try:
            await future
        finally:
            waiting = self._waiting.get(job, set())
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(job, None)

    def _hear(self, followed: Followed) -> None:
        event = followed.event
        if not isinstance(event, JobControl):
            return
        self._cancelled.add(event.job_id)
        if event.action == "delete":
            self._deleted.add(event.job_id)
        for future in self._waiting.pop(event.job_id, set()):
            if not future.done():
                future.set_result(None)

    async def _follow(self) -> None:
        async for followed in self._log:
            self._hear(followed)

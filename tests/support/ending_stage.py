"""Everything behind the gateway in one task: each job that is received ends at once, in its row and on the log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from common.bus.follow import Log
from common.bus.producer import Producer
from common.db.open_job import open_job
from common.db.pool import open_pool
from common.events import ErrorInfo, JobCancelled, JobCompleted, JobControl, JobFailed, Terminal, UploadReceived
from common.settings import CommonSettings

ENDS: dict[str, type[Terminal]] = {"completed": JobCompleted, "failed": JobFailed, "cancelled": JobCancelled}
SECONDS = 2.0
"""Length of every recording."""


class EndingStage:
    """What it received, and how it ends it.

    Parameters
    ----------
    ends
        How a job ends: ``completed``, ``failed``, or None for one that goes on until `let_go` or a cancel.
    """

    def __init__(self, producer: Producer, pool: Any, ends: Callable[[UploadReceived], str | None]) -> None:
        self._producer = producer
        self._pool = pool
        self.ends = ends
        self.received: Counter[UUID] = Counter()
        self.events: dict[UUID, UploadReceived] = {}
        self.controls: Counter[tuple[UUID, str]] = Counter()
        self._open: set[UUID] = set()
        self.most_open = 0
        self._stopped: set[UUID] = set()

    async def let_go(self) -> None:
        """End everything that goes on."""
        for job in list(self._open):
            await self._end(self.events[job], "completed")

    async def hear(self, event: Any) -> None:
        """Take an event as the stages and the recorder would."""
        if isinstance(event, UploadReceived):
            self.received[event.job_id] += 1
            if self.received[event.job_id] > 1:
                return
            self.events[event.job_id] = event
            self._open.add(event.job_id)
            self.most_open = max(self.most_open, len(self._open))
            async with self._pool.acquire() as connection:
                await open_job(connection, event)
            how = "cancelled" if event.job_id in self._stopped else self.ends(event)
            if how is not None:
                await self._end(event, how)
        elif isinstance(event, JobControl):
            self.controls[event.job_id, event.action] += 1
            self._stopped.add(event.job_id)
            if event.job_id in self._open:
                await self._end(self.events[event.job_id], "cancelled")
            if event.action == "delete":
                await self._pool.execute("DELETE FROM jobs WHERE id = $1", event.job_id)
                await self._pool.execute(
                    "INSERT INTO erased_jobs (job_id, erased_at, sweep) VALUES ($1, $2, false) ON CONFLICT DO NOTHING",
                    event.job_id,
                    event.time,
                )

    async def _end(self, event: UploadReceived, how: str) -> None:
        self._open.discard(event.job_id)
        error = ErrorInfo(code="not_media", message="It is no recording.") if how == "failed" else None
        end = ENDS[how](**event.job, created_at=event.time, error=error)
        await self._pool.execute(
            "UPDATE jobs SET status = $2, finished_at = $3, duration = $4, error_code = $5, error_message = $6"
            " WHERE id = $1",
            event.job_id,
            how,
            end.time,
            SECONDS,
            error and error.code,
            error and error.message,
        )
        await self._producer.publish(end, timeout=10)


def complete(_: UploadReceived) -> str:
    """Every job is completed."""
    return "completed"


@asynccontextmanager
async def ending_stage(
    kafka: str, dsn: str, ends: Callable[[UploadReceived], str | None] = complete
) -> AsyncIterator[EndingStage]:
    """The stage, following from now on until the block ends."""
    producer = Producer(kafka, service="test")
    await producer.start()
    topics = ("upload.received.bulk", "upload.received.interactive", "job.control")
    settings = CommonSettings(database_url=SecretStr(dsn))
    async with open_pool(settings) as pool, Log(kafka, topics) as log:
        stage = EndingStage(producer, pool, ends)

        async def work() -> None:
            async for followed in log:
                await stage.hear(followed.event)

        working = asyncio.create_task(work())
        try:
            yield stage
            if working.done():
                working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await producer.stop()

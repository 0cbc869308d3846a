"""Jobs that may wait: their bytes are stored and their rows open, and their events are let go when there is room.

A held job's whole event lies in `held_jobs`. Every gateway looks for jobs whose time has come, claims them in a short
statement, publishes, and drops the row; a crash in between publishes the same event once more, which changes nothing.
"""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any, Protocol

import structlog

from common.bus.producer import BusUnavailable
from common.db.open_job import open_job
from common.events import Event, Terminal, UploadReceived
from gateway.database import Database, StoreUnavailable

log = structlog.get_logger(__name__)

HOLD = """
INSERT INTO held_jobs (job_id, owner, event, deadline, held_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (job_id) DO NOTHING"""

ANY_HELD = "SELECT EXISTS (SELECT FROM held_jobs)"

DROP_ENDED = """
DELETE FROM held_jobs
 WHERE EXISTS (SELECT FROM jobs WHERE id = held_jobs.job_id AND finished_at IS NOT NULL)
    OR EXISTS (SELECT FROM erased_jobs WHERE erased_jobs.job_id = held_jobs.job_id)"""

_AT_WORK = """
SELECT FROM jobs
 WHERE finished_at IS NULL AND created_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM held_jobs AS other WHERE other.job_id = jobs.id)"""

CLAIM_DUE = f"""
WITH backlog AS (SELECT count(*) AS jobs FROM ({_AT_WORK} LIMIT $1) AS at_work),
     room AS (
    SELECT DISTINCT ON (held.owner) held.job_id
      FROM held_jobs AS held
     WHERE (SELECT jobs FROM backlog) < $1 AND NOT EXISTS ({_AT_WORK} AND jobs.owner = held.owner)
     ORDER BY held.owner, held.deadline NULLS LAST, held.held_at),
     due AS (
    SELECT job_id FROM held_jobs
     WHERE (deadline - $2::interval <= now() OR job_id IN (SELECT job_id FROM room))
       AND (claimed_at IS NULL OR claimed_at < now() - $3::interval)
     LIMIT 100
       FOR UPDATE SKIP LOCKED)
UPDATE held_jobs SET claimed_at = now() FROM due WHERE held_jobs.job_id = due.job_id
RETURNING held_jobs.event"""  # noqa: S608 - no input

LET_GO = "DELETE FROM held_jobs WHERE job_id = $1"


class Release(Protocol):
    """Puts an event into the log, and its job's row beside it."""

    async def __call__(self, event: UploadReceived) -> None:
        """Do it; raises `BusUnavailable`."""
        ...


class Deferred:
    """Holds jobs back.

    Parameters
    ----------
    backlog
        How many jobs of anybody may be at work for another to be let go.
    margin
        How long before its deadline one is let go in any case.
    claim
        How long after a claim another gateway may claim the same.
    every
        How often to look when nothing wakes it.
    """

    def __init__(
        self, database: Database, *, backlog: int, margin: timedelta, claim: timedelta, every: timedelta
    ) -> None:
        self._database = database
        self._backlog = backlog
        self._margin = margin
        self._claim = claim
        self._every = every
        self._woken = asyncio.Event()
        self._holding = True

    async def hold(self, event: UploadReceived) -> None:
        """Keep an event, and open its job's row; raises `StoreUnavailable`, for it can be kept nowhere else."""
        async with self._database.connection() as connection, connection.transaction():
            await open_job(connection, event)
            await connection.execute(
                HOLD, event.job_id, event.owner, event.model_dump(mode="json"), event.options.deadline
            )
        self._holding = True
        self._woken.set()

    def see(self, event: Event) -> None:
        """Look soon when a job has ended, if any is held."""
        if self._holding and isinstance(event, Terminal):
            self._woken.set()

    async def run(self, release: Release) -> None:
        """Let jobs go as their time comes, until cancelled; a part that is away is waited for."""
        while True:
            self._woken.clear()
            try:
                await self.look(release)
            except (StoreUnavailable, BusUnavailable) as error:
                log.warning("deferred_wait", reason=type(error).__name__)
            except Exception:
                log.exception("deferred_interrupted")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every.total_seconds()):
                    await self._woken.wait()

    async def look(self, release: Release) -> None:
        """Let go what is due now."""
        async with self._database.connection() as connection:
            self._holding = bool(await connection.fetchval(ANY_HELD))
            if not self._holding:
                return
            await connection.execute(DROP_ENDED)
            rows: list[Any] = await connection.fetch(CLAIM_DUE, self._backlog, self._margin, self._claim)
        for row in rows:
            event = UploadReceived.model_validate(row["event"])
            await release(event)
            async with self._database.connection() as connection:
                await connection.execute(LET_GO, event.job_id)
            log.info("deferred_job_let_go", job_id=str(event.job_id))

"""Jobs that may wait: their bytes are stored and their rows open, and their events are let go when there is room.

A held job's whole event lies in `held_jobs`. Every gateway looks for jobs whose time has come, claims them in a short
statement, publishes, and drops the row; a crash in between publishes the same event once more, which changes nothing.
"""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any, Protocol

import structlog
from pydantic import ValidationError

from common.bus.producer import BusUnavailable
from common.db.open_job import open_job
from common.events import Event, Terminal, UploadReceived
from gateway.database import Database, StoreUnavailable

log = structlog.get_logger(__name__)

ASIDE = timedelta(hours=1)
"""How long a job waits that could not be let go, such as one of a newer version; another look may find it readable."""

HOLD = """
INSERT INTO held_jobs (job_id, owner, event, deadline, held_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (job_id) DO NOTHING"""

ANY_HELD = "SELECT EXISTS (SELECT FROM held_jobs)"

DROP_ENDED = """
DELETE FROM held_jobs
 WHERE EXISTS (SELECT FROM jobs WHERE id = held_jobs.job_id AND finished_at IS NOT NULL)
    OR EXISTS (SELECT FROM erased_jobs WHERE erased_jobs.job_id = held_jobs.job_id)"""

MY_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('scribewire.deferred', 0))"

_AT_WORK = """
SELECT FROM jobs
 WHERE finished_at IS NULL AND created_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM held_jobs AS other WHERE other.job_id = jobs.id)"""

CLAIM_DUE = f"""
WITH free AS (
    SELECT job_id FROM held_jobs WHERE claimed_at IS NULL OR claimed_at < statement_timestamp() - $3::interval),
     on_the_way AS (
    SELECT owner FROM held_jobs
     WHERE claimed_at BETWEEN statement_timestamp() - $3::interval AND statement_timestamp()),
     backlog AS (
    SELECT (SELECT count(*) FROM ({_AT_WORK} LIMIT $1) AS at_work) + (SELECT count(*) FROM on_the_way) AS jobs),
     next AS (
    SELECT DISTINCT ON (held.owner) held.job_id, held.deadline, held.held_at
      FROM held_jobs AS held
     WHERE (SELECT jobs FROM backlog) < $1 AND held.job_id IN (SELECT job_id FROM free)
       AND held.owner NOT IN (SELECT owner FROM on_the_way) AND NOT EXISTS ({_AT_WORK} AND jobs.owner = held.owner)
     ORDER BY held.owner, held.deadline NULLS LAST, held.held_at),
     room AS (
    SELECT job_id FROM next
     ORDER BY deadline NULLS LAST, held_at LIMIT greatest($1 - (SELECT jobs FROM backlog), 0)),
     due AS (
    SELECT job_id FROM held_jobs
     WHERE (deadline - $2::interval <= statement_timestamp() OR job_id IN (SELECT job_id FROM room))
       AND job_id IN (SELECT job_id FROM free)
     ORDER BY deadline NULLS LAST, held_at
     LIMIT 100
       FOR UPDATE SKIP LOCKED)
UPDATE held_jobs SET claimed_at = statement_timestamp() FROM due WHERE held_jobs.job_id = due.job_id
RETURNING held_jobs.job_id, held_jobs.event"""  # noqa: S608 - no input
"""Those claimed a moment ago count as at work, for their gateway is about to publish them; one claimed in the future is
put aside until then, and neither counts nor stands in front of its owner's others."""

PUT_ASIDE = "UPDATE held_jobs SET claimed_at = statement_timestamp() + $2::interval WHERE job_id = $1"

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
        How many jobs of anybody may be at work, as far as rows tell, with those that are let go because there is room.
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
            async with connection.transaction():
                # Two gateways that counted at once would both let jobs into the same room.
                if not await connection.fetchval(MY_TURN):
                    return
                rows: list[Any] = await connection.fetch(CLAIM_DUE, self._backlog, self._margin, self._claim)
        for row in rows:
            try:
                await release(UploadReceived.model_validate(row["event"]))
            except (StoreUnavailable, BusUnavailable):
                raise
            except Exception as error:  # Whatever it is, the others' jobs are not held up by it.
                await self._execute(PUT_ASIDE, row["job_id"], ASIDE)
                unreadable = isinstance(error, ValidationError)  # It would quote what it could not read.
                log.error(  # noqa: TRY400
                    "deferred_job_put_aside",
                    job_id=str(row["job_id"]),
                    error=type(error).__name__,
                    exc_info=None if unreadable else error,
                )
            else:
                await self._execute(LET_GO, row["job_id"])
                log.info("deferred_job_let_go", job_id=str(row["job_id"]))

    async def _execute(self, statement: str, *values: object) -> None:
        async with self._database.connection() as connection:
            await connection.execute(statement, *values)

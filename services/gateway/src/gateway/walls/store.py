"""Every SQL statement of the walls, each under a name that says what it means."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from gateway.database import Database
from gateway.walls.plans import Limits
from gateway.walls.standing import Standing

_CONFIRMING = 0x5C81BEB10
_ERASING = 0x5C81BEB11

ADMIT = "SELECT * FROM admit_job($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"

GIVE_BACK = "SELECT give_back_job($1, $2, $3)"

LIMITS_OF = """
SELECT coalesce((SELECT plan FROM accounts WHERE id = $2), $3) AS plan,
       (SELECT limits FROM account_limits WHERE owner = $1) AS limits"""

ACCOUNT_EXISTS = "SELECT EXISTS (SELECT FROM accounts WHERE id = $1)"

SAVE_LIMITS = """
INSERT INTO account_limits (owner, limits, updated_at) VALUES ($1, $2, now())
ON CONFLICT (owner) DO UPDATE SET limits = excluded.limits, updated_at = excluded.updated_at"""

DROP_LIMITS = "DELETE FROM account_limits WHERE owner = $1"

CONFIRM = """
WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS had)
UPDATE counted_jobs SET pending = false
 WHERE (SELECT had FROM mine)
   AND pending AND (EXISTS (SELECT FROM jobs WHERE id = counted_jobs.job_id)
                    OR EXISTS (SELECT FROM erased_jobs WHERE erased_jobs.job_id = counted_jobs.job_id))"""
"""Of several gateways one does it: two would lock the rows in different orders."""

MISCOUNTED = """
WITH RECURSIVE found (owner) AS (
    SELECT min(owner) FROM jobs
    UNION ALL
    SELECT (SELECT min(jobs.owner) FROM jobs WHERE jobs.owner > found.owner) FROM found WHERE found.owner IS NOT NULL
)
SELECT owner FROM counted_jobs WHERE pending AND at < $2 GROUP BY owner
UNION
SELECT owner FROM found
 WHERE owner <> 'operator' AND EXISTS (
    SELECT FROM jobs
     WHERE jobs.owner = found.owner AND created_at >= $1
       AND NOT EXISTS (SELECT FROM counted_jobs WHERE job_id = jobs.id))"""
"""Owners with a job that is there and was not counted, or that was counted and never came."""

RECOUNT = "SELECT given_back, added FROM recount_jobs($1, $2, $3, $4)"

FORGET_COUNTED = "DELETE FROM counted_jobs WHERE at < $1 AND NOT pending"

NOW = "SELECT clock_timestamp()"

ALONE = "SELECT pg_try_advisory_xact_lock($1)"

DUE = """
SELECT id, lane, created_at FROM jobs
 WHERE owner = $1 AND created_at < $2 AND finished_at < $2 AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4))
 ORDER BY created_at, id
 LIMIT $5"""

FORGET_LINES = """
DELETE FROM audit_log
 WHERE id IN (SELECT id FROM audit_log WHERE at < now() - $1::interval ORDER BY at LIMIT $2
                 FOR UPDATE SKIP LOCKED)"""
"""What another gateway is at, or an account's end, is left to them: nobody waits for anybody."""

_USED = " FROM usage WHERE owner = $1 AND at >= $2 AND at < $3"

_SUMS = """
count(*) AS calls, coalesce(sum(audio_seconds), 0) AS audio_duration_seconds, coalesce(sum(tokens), 0) AS tokens_used,
       coalesce(sum(cost_usd), 0) AS cost_usd"""

USED = f"SELECT {_SUMS}{_USED}"

USED_BY: Mapping[str, str] = {
    by: f"SELECT {what} AS name, {_SUMS}{_USED} GROUP BY 1 ORDER BY 1 LIMIT 1000"
    for by, what in {
        "service": "service",
        "provider": "provider",
        "model": "coalesce(model, '')",
        "day": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    }.items()
}

RECORDS = f"""
SELECT id, job_id, owner AS user, service, provider, endpoint, model, audio_seconds AS audio_duration_seconds,
       tokens AS tokens_used, cost_usd, at AS timestamp{_USED}
   AND ($4::timestamptz IS NULL OR (at, id) < ($4, $5))
 ORDER BY at DESC, id DESC
 LIMIT $6"""

_STALE = timedelta(seconds=10)
"""Age up to which sums of usage are taken as they are."""


@dataclass(frozen=True)
class Due:
    """A job whose time is over."""

    id: UUID
    lane: Any
    created_at: datetime


class WallsStore:
    """Counts jobs and tells what was used.

    Parameters
    ----------
    clock
        The time to count by; None for the database's, which all gateways share.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime | None] = lambda: None) -> None:
        self._database = database
        self._clock = clock

    async def admit(self, owner: str, job: UUID | None, limits: Limits, *, price: float, paid: bool) -> Standing:
        """Count a job once unless a limit forbids it; without a job only tell how the owner stands.

        Parameters
        ----------
        price
            USD a minute of the job's audio costs.
        paid
            Whether it costs anything at all, so that the budget counts.
        """
        seconds = None if limits.minutes_per_month is None else limits.minutes_per_month * 60
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                ADMIT,
                *(owner, job, self._clock(), limits.jobs_per_hour, limits.jobs_per_month, limits.outstanding_jobs),
                *(seconds, _exact(limits.budget_usd), _exact(price), paid, _STALE),
            )
        return Standing(**{**row, "used_usd": float(row["used_usd"])})

    async def give_back(self, owner: str, job: UUID, limits: Limits) -> None:
        """Let go of a job's count, which is taken back with its last holder, unless the job's row is there."""
        async with self._database.connection() as connection:
            await connection.execute(GIVE_BACK, owner, job, limits.jobs_per_hour)

    async def limits(self, owner: str, account: UUID | None, plan: str) -> tuple[str, dict[str, Any]]:
        """The plan of an account, else ``plan``, and what is other for its owner than in the plan."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(LIMITS_OF, owner, account, plan)
        return row["plan"], row["limits"] or {}

    async def account_exists(self, account: UUID) -> bool:
        """Whether there is such an account."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(ACCOUNT_EXISTS, account))

    async def save_limits(self, owner: str, limits: Mapping[str, Any]) -> None:
        """Have these limits be other than in the plan, and no others."""
        async with self._database.connection() as connection:
            if limits:
                await connection.execute(SAVE_LIMITS, owner, limits)
            else:
                await connection.execute(DROP_LIMITS, owner)

    async def recount(self, *, since: timedelta, lapsed: timedelta, keep: timedelta) -> tuple[int, int]:
        """Make the counts what the rows say; return how many were given back and how many added.

        Parameters
        ----------
        since
            Age up to which jobs that were not counted are looked for.
        lapsed
            Age from which a counted job without a row is one that never came.
        keep
            Age after which it need not be known any more that a job was counted.
        """
        given_back = added = 0
        async with self._database.connection() as connection:
            now = await self._now(connection)
            await connection.execute(CONFIRM, _CONFIRMING)
            await connection.execute(FORGET_COUNTED, now - keep)
            owners = [row["owner"] for row in await connection.fetch(MISCOUNTED, now - since, now - lapsed)]
        for owner in owners:
            async with self._database.connection() as connection:
                counts = await connection.fetchrow(RECOUNT, owner, now, now - since, now - lapsed)
            given_back, added = given_back + counts["given_back"], added + counts["added"]
        return given_back, added

    async def confirm(self) -> None:
        """Note which counted jobs have their row."""
        async with self._database.connection() as connection:
            await connection.execute(CONFIRM, _CONFIRMING)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether nobody else erases what is due, which stays so until the block ends; it has to be short."""
        async with self._database.connection() as connection, connection.transaction():
            yield bool(await connection.fetchval(ALONE, _ERASING))

    async def due(self, owner: str, before: datetime, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Due]:
        """Jobs of an owner that ended before a time, the oldest first."""
        time, job = after or (None, None)
        async with self._database.connection() as connection:
            return [Due(**row) for row in await connection.fetch(DUE, owner, before, time, job, limit)]

    async def time(self) -> datetime:
        """What time it is, by the clock that all gateways share."""
        async with self._database.connection() as connection:
            return await self._now(connection)

    async def forget_lines(self, keep: timedelta, most: int) -> int:
        """Forget up to ``most`` lines of the audit log that are older than ``keep``; return how many there were."""
        async with self._database.connection() as connection:
            done: str = await connection.execute(FORGET_LINES, keep, most)
        return int(done.rpartition(" ")[2])

    async def used(self, owner: str, since: datetime, until: datetime, by: str) -> tuple[Any, Sequence[Any]]:
        """What was used in all, and by what of each."""
        async with self._database.connection() as connection:
            return (
                await connection.fetchrow(USED, owner, since, until),
                await connection.fetch(USED_BY[by], owner, since, until),
            )

    async def records(
        self, owner: str, since: datetime, until: datetime, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Any]:
        """Single acts, newest first."""
        time, act = before or (None, None)
        async with self._database.connection() as connection:
            rows: Sequence[Any] = await connection.fetch(RECORDS, owner, since, until, time, act, limit)
        return rows

    async def _now(self, connection: Any) -> datetime:
        found: datetime = self._clock() or await connection.fetchval(NOW)
        return found


def _exact(usd: float | None) -> Decimal | None:
    """The number as it is written: its nearest float may be a little more than what was spent."""
    return None if usd is None else Decimal(repr(usd))

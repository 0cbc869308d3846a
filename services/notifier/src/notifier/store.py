"""Every SQL statement of the notifier; it alone changes delivery rows."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from common.db.away import AWAY
from common.db.storable import storable
from common.errors import Transient
from notifier.ports import Delivery, Notice, Outcome

ENDPOINTS_OF_OWNERS = """
SELECT id, owner, url, events, created_at
  FROM webhook_endpoints WHERE owner = ANY($1::text[]) AND disabled_at IS NULL"""

HOLD_JOBS = "SELECT FROM jobs WHERE id = ANY($1::uuid[]) ORDER BY id FOR SHARE"
"""An erasure under way is waited for, and one that begins now waits: it then finds the deliveries and blanks them."""

ADD_DELIVERIES = """
INSERT INTO webhook_deliveries
       (id, endpoint_id, job_id, owner, event_id, event_type, url, body, created_at, due_at)
SELECT new.*, now()
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[],
              $9::timestamptz[])
       AS new (id, endpoint_id, job_id, owner, event_id, event_type, url, body, created_at)
 WHERE NOT EXISTS (SELECT FROM erased_jobs WHERE erased_jobs.job_id = new.job_id)
ON CONFLICT (id) DO NOTHING
RETURNING id"""

CLAIM = """
WITH free AS (
    SELECT * FROM unnest($2::text[], $3::integer[]) AS free (destination, places)
), due AS (
    SELECT id, due_at, destination, places
      FROM (SELECT *, coalesce(endpoint_id::text, owner || ' ' || split_part(url, '/', 3)) AS destination
              FROM webhook_deliveries) AS named
      LEFT JOIN free USING (destination)
     WHERE due_at <= now() AND delivered_at IS NULL AND failed_at IS NULL AND body IS NOT NULL
       AND places IS DISTINCT FROM 0
     ORDER BY due_at
     LIMIT 2000
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY destination ORDER BY due_at) AS nth FROM due
), fair AS (
    SELECT id, destination FROM ranked WHERE nth <= coalesce(places, $4) ORDER BY nth, due_at LIMIT $1
), mine AS (
    SELECT d.id, fair.destination
      FROM webhook_deliveries AS d JOIN fair USING (id)
     WHERE d.due_at <= now() AND d.delivered_at IS NULL AND d.failed_at IS NULL
       FOR UPDATE OF d SKIP LOCKED
), claimed AS (
    UPDATE webhook_deliveries AS d SET due_at = now() + $5::interval
      FROM mine WHERE d.id = mine.id
    RETURNING d.id, d.endpoint_id, d.event_id, d.url, d.body, d.attempts, mine.destination
)
SELECT claimed.*, e.secret,
       CASE WHEN endpoint_id IS NULL THEN NULL
            WHEN e.id IS NULL THEN 'the webhook was removed'
            WHEN e.disabled_at IS NOT NULL THEN 'the webhook is disabled' END AS gone
  FROM claimed LEFT JOIN webhook_endpoints AS e ON e.id = endpoint_id"""

DELIVERED = """
UPDATE webhook_deliveries
   SET attempts = $2, delivered_at = now(), failed_at = NULL, due_at = NULL, last_status = $3, last_error = NULL
 WHERE id = $1 AND delivered_at IS NULL"""

POSTPONED = """
UPDATE webhook_deliveries SET attempts = $2, due_at = now() + $5::interval, last_status = $3, last_error = $4
 WHERE id = $1 AND attempts < $2 AND delivered_at IS NULL AND failed_at IS NULL"""

FAILED = """
UPDATE webhook_deliveries SET attempts = $2, failed_at = now(), due_at = NULL, last_status = $3, last_error = $4
 WHERE id = $1 AND delivered_at IS NULL AND failed_at IS NULL"""

DISABLE_ENDPOINT = """
UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = $2 WHERE id = $1 AND disabled_at IS NULL"""

NOT_ATTEMPTED = """
UPDATE webhook_deliveries SET failed_at = now(), due_at = NULL, last_error = $2
 WHERE id = $1 AND delivered_at IS NULL AND failed_at IS NULL"""


class Store:
    """Delivery rows in PostgreSQL: both `notifier.ports.Register` and `notifier.ports.Queue`.

    The clock of everything here is the database's, so that several notifiers agree on what is due.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def register(self, notices: Sequence[Notice]) -> int:
        """Make deliveries for endpoints that were there when the job ended, and for the callback addresses."""
        async with self._connection() as connection, connection.transaction():
            endpoints = await connection.fetch(ENDPOINTS_OF_OWNERS, list({notice.owner for notice in notices}))
            rows = [row for notice in notices for row in _rows(notice, endpoints)]
            if not rows:
                return 0
            await connection.execute(HOLD_JOBS, [notice.job_id for notice in notices])
            return len(await connection.fetch(ADD_DELIVERIES, *map(list, zip(*rows, strict=True))))

    async def claim(self, limit: int, *, share: int, places: Mapping[str, int], seconds: float) -> list[Delivery]:
        """Take due deliveries; a row is locked only while it is marked as ours."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                CLAIM, limit, list(places), list(places.values()), share, timedelta(seconds=seconds)
            )
        return [Delivery(**row) for row in rows]

    async def delivered(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that the receiver took it, whatever else was noted meanwhile."""
        async with self._connection() as connection:
            await connection.execute(DELIVERED, delivery.id, delivery.attempts + 1, outcome.status)

    async def postponed(self, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """Note a failed attempt and when the next is due."""
        async with self._connection() as connection:
            await connection.execute(
                POSTPONED,
                delivery.id,
                delivery.attempts + 1,
                outcome.status,
                outcome.error,
                timedelta(seconds=seconds),
            )

    async def failed(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that the last attempt failed."""
        async with self._connection() as connection:
            await connection.execute(FAILED, delivery.id, delivery.attempts + 1, outcome.status, outcome.error)

    async def given_up(self, delivery: Delivery, reason: str) -> None:
        """Note that there is no attempt, and why."""
        async with self._connection() as connection:
            await connection.execute(NOT_ATTEMPTED, delivery.id, reason)

    async def disable(self, endpoint: UUID, reason: str) -> None:
        """Send an endpoint nothing more."""
        async with self._connection() as connection:
            await connection.execute(DISABLE_ENDPOINT, endpoint, reason)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except AWAY as error:
            raise Transient("The database does not answer.", code="database_unavailable") from error


def _rows(notice: Notice, endpoints: Sequence[Any]) -> list[tuple[Any, ...]]:
    targets = [
        (uuid5(e["id"], str(notice.event_id)), e["id"], e["url"])
        for e in endpoints
        # An endpoint made later does not get the past, even when the topic is read again from its start.
        if e["owner"] == notice.owner and notice.event_type in e["events"] and e["created_at"] <= notice.time
    ]
    callback = storable(notice.callback_url)
    if callback:
        targets.append((uuid5(notice.event_id, callback), None, callback))
    return [
        (
            delivery,
            endpoint,
            notice.job_id,
            notice.owner,
            notice.event_id,
            notice.event_type,
            url,
            notice.body,
            notice.time,
        )
        for delivery, endpoint, url in targets
    ]

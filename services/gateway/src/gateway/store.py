"""Every SQL statement of the gateway, each under a name that says what it means."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from common.db.open_job import open_job
from common.events import UploadReceived
from common.options import BESIDE_THE_RESULT, JobOptions
from gateway.batched import Batched
from gateway.database import Database
from gateway.models import Job, Webhook
from gateway.rows import JobRow, Rows, job_row

_JOB = """
SELECT id, owner, status, stage, fraction, detail, lane, filename, content_type, size, sha256, options, created_at,
       updated_at, finished_at, duration, language, media, words, segments, provider, model, transcript_blob,
       error_code, error_message, reused_from, address
  FROM jobs"""

JOBS_OF_OWNERS = (
    _JOB
    + """
  JOIN unnest($1::text[], $2::uuid[]) AS asked (owner, id) USING (owner, id)
 WHERE created_at IS NOT NULL"""
)

NEWEST_JOBS = (
    _JOB
    + """
 WHERE owner = $1 AND created_at IS NOT NULL
   AND ($2::text IS NULL OR status = $2)
   AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
 ORDER BY created_at DESC, id DESC
 LIMIT $5"""
)

JOBS_BY_STATUS = """
SELECT status, count(*) AS jobs FROM jobs WHERE owner = $1 AND created_at IS NOT NULL GROUP BY status"""

TRANSLATIONS_OF_JOBS = """
SELECT job_id, language, translator, blob, error_code, error_message FROM translations WHERE job_id = ANY($1)"""

JOB_IS_ERASED = "SELECT EXISTS (SELECT FROM erased_jobs WHERE job_id = $1 AND NOT sweep)"

SAME_AGAIN = """
SELECT id FROM jobs
 WHERE owner = $1 AND sha256 = $2 AND status = 'completed' AND provider = $3 AND options - $4::text[] = $5
   AND NOT EXISTS (SELECT FROM translations WHERE job_id = jobs.id AND error_code IS NOT NULL)
 ORDER BY $6::text IS NOT NULL AND options->>'audio_format' IS DISTINCT FROM $6,
          reused_from IS NOT NULL, finished_at DESC
 LIMIT 1"""
"""Of several the one that has stored the audio as it is asked for: that can be copied as well."""

KNOWN_JOBS = """
SELECT id FROM jobs WHERE id = ANY($1)
 UNION SELECT job_id FROM erased_jobs WHERE job_id = ANY($1)
 UNION SELECT job_id FROM held_jobs WHERE job_id = ANY($1)
 UNION SELECT job_id FROM counted_jobs WHERE job_id = ANY($1)
 UNION SELECT job_id FROM batch_items WHERE state IN ('claimed', 'released') AND job_id = ANY($1)"""

UPLOADS_WANTED = """
SELECT i.source
  FROM batches AS b JOIN batch_items AS i ON i.batch_id = b.id
 WHERE b.owner = $1 AND b.finished_at IS NULL AND b.status <> 'deleting'
   AND i.state IN ('waiting', 'claimed') AND i.kind = 'upload' AND ($2::text IS NULL OR i.source = $2)"""

OLDEST = """
SELECT least((SELECT min(created_at) FROM jobs WHERE owner = $1), (SELECT min(erased_at) FROM erased_jobs))"""

OWNERS = """
WITH RECURSIVE found (owner) AS (
    SELECT min(owner) FROM jobs
    UNION ALL
    SELECT (SELECT min(jobs.owner) FROM jobs WHERE jobs.owner > found.owner) FROM found WHERE found.owner IS NOT NULL
)
SELECT owner FROM found WHERE owner IS NOT NULL"""
"""Each owner once, by a step through the index for each; Postgres would read every row for a DISTINCT."""

ADD_WEBHOOK = """
INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at) VALUES ($1, $2, $3, $4, $5, $6)"""

WEBHOOKS_OF_OWNER = """
SELECT id, url, events, created_at, disabled_at, disabled_reason
  FROM webhook_endpoints WHERE owner = $1 ORDER BY created_at, id"""

DROP_WEBHOOK = "DELETE FROM webhook_endpoints WHERE owner = $1 AND id = $2 RETURNING id"


class Store:
    """Reads what the recorder recorded; writes webhook endpoints, and opens jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs = Batched(self._jobs_of_owners)
        self._rows = Rows()

    async def open(self, event: UploadReceived) -> None:
        """Open the job's row unless it is there; the recorder does the same from the event."""
        async with self._database.connection() as connection:
            await open_job(connection, event)

    async def job(self, owner: str, job: UUID) -> JobRow | None:
        """One job of an owner; those that are asked for at the same time are read together."""
        return await self._jobs.find((owner, job))

    def forget(self, job: UUID) -> None:
        """Keep nothing of a job in memory: it was deleted."""
        self._rows.forget(job)

    async def _jobs_of_owners(self, asked: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], JobRow]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(JOBS_OF_OWNERS, [owner for owner, _ in asked], [job for _, job in asked])
            translated = [row["id"] for row in rows if (row["options"] or {}).get("translate")]
            translations = await connection.fetch(TRANSLATIONS_OF_JOBS, translated) if translated else []
        return {
            (row["owner"], row["id"]): self._rows.read(row, [t for t in translations if t["job_id"] == row["id"]])
            for row in rows
        }

    async def newest(
        self, owner: str, *, status: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Job]:
        """An owner's jobs, newest first, from after a place in that order."""
        time, job = before or (None, None)
        async with self._database.connection() as connection:
            rows = await connection.fetch(NEWEST_JOBS, owner, status, time, job, limit)
            translations = await connection.fetch(TRANSLATIONS_OF_JOBS, [row["id"] for row in rows])
        return [job_row(row, [t for t in translations if t["job_id"] == row["id"]]).job for row in rows]

    async def counts(self, owner: str) -> dict[str, int]:
        """How many jobs an owner has in each state."""
        async with self._database.connection() as connection:
            return {row["status"]: row["jobs"] for row in await connection.fetch(JOBS_BY_STATUS, owner)}

    async def erased(self, job: UUID) -> bool:
        """Whether the recorder has erased the job: its rows, its blobs and what the log held of it."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(JOB_IS_ERASED, job))

    async def same(self, owner: str, sha256: str, options: JobOptions, provider: str) -> UUID | None:
        """A job of an owner that was completed, translations and all, from these bytes with these options."""
        asked = options.model_dump(mode="json", exclude=set(BESIDE_THE_RESULT))
        async with self._database.connection() as connection:
            found: UUID | None = await connection.fetchval(
                SAME_AGAIN, owner, sha256, provider, BESIDE_THE_RESULT, asked, options.audio_format
            )
            return found

    async def known(self, jobs: Iterable[UUID]) -> set[UUID]:
        """Which of the jobs have a row, were erased, or are still to be released or held."""
        async with self._database.connection() as connection:
            return {row["id"] for row in await connection.fetch(KNOWN_JOBS, list(jobs))}

    async def uploads_wanted(self, owner: str, upload: UUID | None = None) -> set[UUID]:
        """Which uploads, of all or of one, batches are still to make jobs of."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(UPLOADS_WANTED, owner, None if upload is None else str(upload))
            return {UUID(row["source"]) for row in rows}

    async def oldest(self, owner: str) -> datetime | None:
        """How far back the database remembers an owner's jobs, or that some were erased; None when there were none."""
        async with self._database.connection() as connection:
            found: datetime | None = await connection.fetchval(OLDEST, owner)
            return found

    async def owners(self) -> list[str]:
        """Everybody who has a job."""
        async with self._database.connection() as connection:
            return [row["owner"] for row in await connection.fetch(OWNERS)]

    async def add_webhook(self, owner: str, webhook: Webhook, sealed: str) -> None:
        """Register an address; its secret comes encrypted (`common.webhook_secrets`)."""
        async with self._database.connection() as connection:
            await connection.execute(
                ADD_WEBHOOK, webhook.id, owner, webhook.url, sealed, webhook.events, webhook.created_at
            )

    async def webhooks(self, owner: str) -> list[Webhook]:
        """An owner's addresses, oldest first."""
        async with self._database.connection() as connection:
            return [Webhook.model_validate(dict(row)) for row in await connection.fetch(WEBHOOKS_OF_OWNER, owner)]

    async def drop_webhook(self, owner: str, webhook: UUID) -> bool:
        """Forget an address; False when there was none."""
        async with self._database.connection() as connection:
            return await connection.fetchval(DROP_WEBHOOK, owner, webhook) is not None

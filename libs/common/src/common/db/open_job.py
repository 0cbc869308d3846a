"""The one insert that the gateway and the recorder share: it opens a job's row."""

from typing import Any

from common.db.storable import storable
from common.events import UploadReceived

OPEN_JOB = """
INSERT INTO jobs (id, owner, lane, attempt, created_at, updated_at, filename, content_type, source_blob, size, sha256,
                  options, plan, idempotent, address)
SELECT $1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
 WHERE NOT EXISTS (SELECT FROM erased_jobs WHERE job_id = $1)
ON CONFLICT (id) DO NOTHING"""


async def open_job(connection: Any, event: UploadReceived) -> None:
    """Open the job's row unless it is there or the job was erased.

    Parameters
    ----------
    connection
        An asyncpg connection of `common.db.pool`.
    event
        The event as it was published; the row's times are the event's.
    """
    await connection.execute(
        OPEN_JOB,
        event.job_id,
        event.owner,
        event.lane,
        event.attempt,
        event.time,
        storable(event.filename),
        storable(event.content_type),
        event.source.name,
        event.source.size,
        None if event.remote else event.sha256,
        event.options.model_dump(mode="json"),
        event.plan.model_dump(mode="json"),
        event.idempotent,
        storable(event.address),
    )

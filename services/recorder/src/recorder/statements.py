"""Every SQL statement of the recorder, each under a name that says what it means."""

from collections.abc import Mapping

JOB: Mapping[str, str] = {
    "id": "uuid",
    "owner": "text",
    "lane": "text",
    "attempt": "integer",
    "status": "text",
    "stage": "text",
    "fraction": "double precision",
    "detail": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "finished_at": "timestamptz",
    "transcribed_at": "timestamptz",
    "filename": "text",
    "content_type": "text",
    "source_blob": "text",
    "size": "bigint",
    "sha256": "text",
    "options": "jsonb",
    "plan": "jsonb",
    "idempotent": "boolean",
    "duration": "double precision",
    "media": "jsonb",
    "language": "text",
    "words": "integer",
    "segments": "integer",
    "provider": "text",
    "model": "text",
    "transcript_blob": "text",
    "translations": "jsonb",
    "error_code": "text",
    "error_message": "text",
    "announced": "boolean",
    "reused_from": "uuid",
    "address": "text",
}
"""The columns of a job and their types, in the order in which they are written."""

TRANSLATION: Mapping[str, str] = {
    "job_id": "uuid",
    "language": "text",
    "translator": "text",
    "blob": "text",
    "error_code": "text",
    "error_message": "text",
    "completed_at": "timestamptz",
}
"""The columns of a translation, likewise."""

UTTERANCE = ("job_id", "index", "start", "end", "speaker", "text")
"""The columns of an utterance, in the order in which they are written."""


def _upsert(table: str, columns: Mapping[str, str], key: str) -> str:
    """Many rows at once, one array for each column; JSON travels as text, since an array in an array would be one."""
    names = ", ".join(columns)
    arrays = ", ".join(
        f"${n}::{'text' if kind == 'jsonb' else kind}[]" for n, kind in enumerate(columns.values(), start=1)
    )
    values = ", ".join(f"{name}::jsonb" if kind == "jsonb" else name for name, kind in columns.items())
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM unnest({arrays}) AS new ({names})"  # noqa: S608 - no input
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


SAVE_JOBS = _upsert("jobs", JOB, "id")
SAVE_TRANSLATIONS = _upsert("translations", TRANSLATION, "job_id, language")

OPEN_ROWS = """
INSERT INTO jobs (id, owner, lane) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])
ON CONFLICT (id) DO NOTHING"""

_JOBS = f"SELECT {', '.join(JOB)} FROM jobs"  # noqa: S608 - no input

LOCK_JOBS = f"{_JOBS} WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"

ERASED_AMONG = "SELECT job_id FROM erased_jobs WHERE job_id = ANY($1::uuid[])"

TRANSLATIONS_OF = f"SELECT {', '.join(TRANSLATION)} FROM translations WHERE job_id = ANY($1::uuid[])"  # noqa: S608

SPOKEN_AMONG = """
SELECT job_id FROM unnest($1::uuid[]) AS asked (job_id)
 WHERE EXISTS (SELECT FROM utterances WHERE utterances.job_id = asked.job_id)"""

ADD_USAGE = """
INSERT INTO usage (id, job_id, owner, service, provider, endpoint, model, audio_seconds, tokens, cost_usd, at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
                     $9::bigint[], $10::numeric[], $11::timestamptz[])
ON CONFLICT (id) DO NOTHING"""

ADVANCE = """
INSERT INTO projection_offsets (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
ON CONFLICT (topic, partition)
DO UPDATE SET next_offset = greatest(projection_offsets.next_offset, excluded.next_offset)"""

DROP_JOBS = """
DELETE FROM jobs WHERE id = ANY($1::uuid[])
RETURNING id, updated_at IS NOT NULL AS known, translations, options->'translate' AS asked"""

DROP_TRANSLATIONS = "DELETE FROM translations WHERE job_id = ANY($1::uuid[]) RETURNING job_id, language"

DROP_UTTERANCES = """
WITH gone AS (DELETE FROM utterances WHERE job_id = ANY($1::uuid[]) RETURNING job_id)
SELECT job_id, count(*) AS rows FROM gone GROUP BY job_id"""

BLANK_DELIVERIES = """
UPDATE webhook_deliveries
   SET body = NULL,
       url = CASE WHEN endpoint_id IS NULL THEN '' ELSE url END,
       failed_at = CASE WHEN delivered_at IS NULL THEN coalesce(failed_at, erased.at) ELSE failed_at END,
       last_error = CASE WHEN delivered_at IS NULL AND failed_at IS NULL THEN 'the job was erased' ELSE last_error END
  FROM unnest($1::uuid[], $2::timestamptz[]) AS erased (job_id, at)
 WHERE webhook_deliveries.job_id = erased.job_id"""

KEEP_BARE_IDS = """
INSERT INTO erased_jobs (job_id, erased_at, owner, languages, rows)
SELECT job_id, erased_at, owner, ARRAY(SELECT jsonb_array_elements_text(languages::jsonb)), rows
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::integer[])
       AS new (job_id, erased_at, owner, languages, rows)
ON CONFLICT (job_id) DO UPDATE
   SET sweep = true,
       owner = excluded.owner,
       languages = coalesce(erased_jobs.languages, '{}') || excluded.languages,
       rows = erased_jobs.rows + excluded.rows,
       round = erased_jobs.round + 1"""

SWEEP_AGAIN = """
UPDATE erased_jobs
   SET sweep = true,
       owner = late.owner,
       languages = coalesce(languages, '{}') || ARRAY(SELECT jsonb_array_elements_text(late.spoken::jsonb)),
       round = round + 1
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS late (job_id, owner, spoken)
 WHERE erased_jobs.job_id = late.job_id"""

MARK_ANNOUNCED = "UPDATE jobs SET announced = true WHERE id = ANY($1::uuid[]) RETURNING id"

UNANNOUNCED = f"""{_JOBS}
 WHERE finished_at IS NOT NULL AND created_at IS NOT NULL AND NOT announced ORDER BY id LIMIT $1"""

TO_SWEEP = """
SELECT job_id, owner, languages, erased_at, rows, proved, round FROM erased_jobs WHERE sweep ORDER BY job_id LIMIT $1"""

MARK_SWEPT = """
UPDATE erased_jobs SET sweep = false, proved = true, owner = NULL, languages = NULL WHERE job_id = $1 AND round = $2"""

_ACCOUNTS = """
SELECT owner, asked_at, jobs, forgotten_at IS NOT NULL AS forgotten, swept_at IS NOT NULL AS proved
  FROM erased_accounts"""

ASKED_ACCOUNTS = f"{_ACCOUNTS} WHERE swept_at IS NULL ORDER BY asked_at LIMIT $1"

LATE_ACCOUNTS = f"""{_ACCOUNTS}
 WHERE swept_at IS NULL
    OR (swept_at < asked_at + interval '1 day' AND $2::timestamptz >= asked_at + interval '1 day')
    OR EXISTS (SELECT FROM jobs WHERE jobs.owner = erased_accounts.owner)
    OR EXISTS (SELECT FROM usage WHERE usage.owner = erased_accounts.owner)
    OR EXISTS (SELECT FROM webhook_deliveries WHERE webhook_deliveries.owner = erased_accounts.owner)
 ORDER BY asked_at
 LIMIT $1"""  # noqa: S608 - no input

JOBS_OF_OWNER = "SELECT id, lane FROM jobs WHERE owner = $1 LIMIT $2"

JOBS_ARE_SWEPT = "SELECT NOT EXISTS (SELECT FROM erased_jobs WHERE sweep AND owner = $1)"

USAGE_OF_OWNER = "SELECT id FROM usage WHERE owner = $1 LIMIT $2"

DROP_USAGE = """
WITH gone AS (DELETE FROM usage WHERE id = ANY($2::uuid[]) RETURNING id)
UPDATE erased_accounts SET usage = usage + (SELECT count(*) FROM gone) WHERE owner = $1"""

DROP_DELIVERIES = """
WITH gone AS (DELETE FROM webhook_deliveries WHERE owner = $1 RETURNING id)
UPDATE erased_accounts SET deliveries = deliveries + (SELECT count(*) FROM gone) WHERE owner = $1
RETURNING usage, deliveries"""

MARK_ACCOUNT_SWEPT = "UPDATE erased_accounts SET swept_at = $2 WHERE owner = $1"

"""Every SQL statement of the batches, each under a name that says what it means."""

OUT = "('claimed', 'released')"
_DEFERRED = "coalesce(options->>'priority', '') = 'deferred'"

OPEN = "('waiting', 'claimed', 'released')"

TURN_SECONDS = 60
"""How long a request that lists a prefix has its turn after each thousand blobs; who died loses it by then."""

BEGIN = """
INSERT INTO batches (id, owner, status, request, keyed, created_at, touched_at)
VALUES ($1, $2, 'receiving', $3, $4, now(), now())
ON CONFLICT (id) DO NOTHING"""

_BATCH = """
SELECT id, owner, status, request, received, digest, total, bad, completed, failed, cancelled, created_at, finished_at
  FROM batches"""

FOUND = _BATCH + " WHERE id = $1"

BATCH_OF_OWNER = _BATCH + " WHERE owner = $1 AND id = $2 AND status NOT IN ('deleting', 'deleted')"

NEWEST = (
    _BATCH
    + """
 WHERE owner = $1 AND status NOT IN ('deleting', 'deleted')
   AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
 ORDER BY created_at DESC, id DESC
 LIMIT $4"""
)

HOLD = _BATCH + " WHERE id = $1 FOR UPDATE"

HOLD_OF_OWNER = _BATCH + " WHERE owner = $1 AND id = $2 AND status NOT IN ('deleting', 'deleted') FOR UPDATE"

ADD_ITEMS = """
INSERT INTO batch_items (batch_id, owner, line, state, reference, kind, address, source, shown, options,
                         error_field, error_message)
SELECT $1, $2, line, CASE WHEN message IS NULL THEN 'waiting' ELSE 'bad' END, reference, kind,
       CASE kind WHEN 'url' THEN source END, CASE WHEN kind <> 'url' THEN source END, shown, options::jsonb, field,
       message
  FROM unnest($3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
       AS new (line, reference, kind, source, shown, options, field, message)
ON CONFLICT (batch_id, line) DO NOTHING"""

RECEIVED = f"""
UPDATE batches SET received = $2, digest = $3, total = total + $4, bad = bad + $5, touched_at = now(),
                   turn_until = CASE WHEN turn_until IS NOT NULL THEN now() + interval '{TURN_SECONDS} seconds' END
 WHERE id = $1
RETURNING turn_until"""  # noqa: S608 - no input

WHOLE = """
UPDATE batches SET status = CASE WHEN $3::integer > $4::integer THEN 'running' ELSE 'completed' END,
                   finished_at = CASE WHEN $3::integer > $4::integer THEN NULL ELSE now() END,
                   digest = $2, total = $3, bad = $4, turn_until = NULL
 WHERE id = $1"""


OUT_NOW = f"""
SELECT coalesce(jobs.status, 'queued') AS status, count(*) AS items, count(jobs.duration) AS known,
       coalesce(sum(jobs.duration), 0) AS seconds
  FROM batch_items AS i LEFT JOIN jobs ON jobs.id = i.job_id
 WHERE i.batch_id = $1 AND i.owner = $2 AND i.state IN {OUT}
 GROUP BY 1"""  # noqa: S608 - no input

LATELY = """
SELECT count(*) AS items, count(duration) AS known, coalesce(sum(duration), 0) AS seconds,
       extract(epoch FROM now() - min(claimed_at))::float8 AS age
  FROM (SELECT duration, claimed_at FROM batch_items
         WHERE batch_id = $1 AND owner = $2 AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 200) AS last"""

_SHOWN = f"""
SELECT i.line, i.reference, i.kind, i.shown, i.attempt, i.job_id, i.error_field, i.error_code, i.error_message,
       coalesce(i.duration, job.duration) AS duration,
       CASE i.state WHEN 'waiting' THEN CASE WHEN b.status IN ('cancelling', 'cancelled') THEN 'cancelled'
                                             ELSE 'queued' END
                    WHEN 'claimed' THEN coalesce(job.status, 'queued')
                    WHEN 'released' THEN coalesce(job.status, 'queued')
                    ELSE i.state END AS status
  FROM batches AS b
 CROSS JOIN LATERAL (%s) AS i
  LEFT JOIN LATERAL (SELECT status, duration FROM jobs WHERE jobs.id = i.job_id AND i.state IN {OUT} OFFSET 0) AS job
    ON true
 WHERE b.id = $1"""  # noqa: S608 - no input

_SOME = "SELECT * FROM batch_items WHERE batch_id = b.id AND owner = $2 AND line > $3"

ITEMS = _SHOWN % f"{_SOME} ORDER BY line LIMIT $4" + " ORDER BY i.line"

_IN_STATE = "(SELECT * FROM (" + _SOME + " AND state = %s ORDER BY line LIMIT $4) AS found)"  # noqa: S608 - no input
_IN_STATES = f"{_IN_STATE % '$5'} UNION ALL {_IN_STATE % '$6'} UNION ALL {_SOME} AND state IN {OUT}"

ITEMS_IN_STATES = f"""
SELECT * FROM ({_SHOWN % _IN_STATES}) AS items
 WHERE status = ANY($7) ORDER BY line LIMIT $4"""  # noqa: S608 - no input
"""Those in one or two settled states, each by its index, and those at work whose jobs are in the states asked for."""

CANCEL = """
UPDATE batches SET status = 'cancelling' WHERE owner = $1 AND id = $2 AND status = 'running' RETURNING id"""

RETRY_ITEMS = """
WITH again AS (
    UPDATE batch_items
       SET state = 'waiting', attempt = attempt + (job_id IS NOT NULL)::integer, job_id = NULL, claimed_at = NULL,
           ended_at = NULL, duration = NULL, error_field = NULL, error_code = NULL, error_message = NULL
     WHERE batch_id = $1 AND owner = $2 AND state = 'failed'
    RETURNING line)
UPDATE batches
   SET status = 'running', finished_at = NULL, failed = failed - (SELECT count(*) FROM again)
 WHERE id = $1 AND EXISTS (SELECT FROM again)"""


DELETE = """
UPDATE batches SET status = 'deleting', finished_at = NULL
 WHERE owner = $1 AND id = $2 AND status NOT IN ('deleting', 'deleted') RETURNING id"""

FORGET = """
UPDATE batches SET status = 'deleting', keyed = false
 WHERE id = $1 AND status = 'receiving' AND ($2::integer IS NULL OR (received = $2 AND ($2 = 0 OR digest = $3)))
RETURNING id"""

STALE = """
UPDATE batches SET status = 'deleting', keyed = false
 WHERE status = 'receiving' AND touched_at < now() - $1::interval RETURNING id"""

TAKE_TURN = f"""
UPDATE batches SET received = 0, digest = $2, total = 0, bad = 0, touched_at = now(),
                   turn_until = now() + interval '{TURN_SECONDS} seconds'
 WHERE id = $1 AND status = 'receiving' AND (turn_until IS NULL OR turn_until < now())
RETURNING turn_until"""  # noqa: S608 - no input

TURN_OF = "SELECT turn_until FROM batches WHERE id = $1"

GIVE_UP_TURN = "UPDATE batches SET turn_until = NULL WHERE id = $1 AND status = 'receiving' AND turn_until = $2"

OWNER_OF_DELETED = "SELECT owner FROM batches WHERE id = $1 AND status = 'deleting'"

SOME_ITEMS = """
SELECT batch_id, line, owner, kind, source, attempt, job_id
  FROM batch_items WHERE batch_id = $1 ORDER BY line LIMIT $2"""

DROP_ITEMS = "DELETE FROM batch_items WHERE batch_id = $1 AND line <= $2"

KEEP_BARE_ID = """
UPDATE batches
   SET status = 'deleted', request = '', digest = '', received = 0, total = 0, bad = 0, completed = 0, failed = 0,
       cancelled = 0, finished_at = now()
 WHERE id = $1 AND status = 'deleting' AND keyed"""

DROP_BATCH = "DELETE FROM batches WHERE id = $1 AND status = 'deleting' AND NOT keyed"

IN_STATUS = """
SELECT id, owner FROM batches WHERE status = $1 AND finished_at IS NULL ORDER BY created_at LIMIT 20"""

WAITING_OWNERS = """
SELECT DISTINCT owner FROM batches
 WHERE status = 'running' AND EXISTS (SELECT FROM batch_items WHERE batch_id = batches.id AND state = 'waiting')"""

MY_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('scribewire.batches.' || $1, 0))"

OUTSTANDING = f"""
SELECT count(*) FILTER (WHERE held.job_id IS NULL AND NOT (i.state = 'claimed' AND {_DEFERRED})) AS at_work,
       count(*) FILTER (WHERE {_DEFERRED}) AS deferred
  FROM batch_items AS i LEFT JOIN held_jobs AS held ON held.job_id = i.job_id
 WHERE i.owner = $1 AND i.state IN {OUT}"""  # noqa: S608 - no input
"""How many are at work, and how many are deferred, held ones included; one that was let go is in both."""

_NEXT_WAITING = """
SELECT b.created_at, i.batch_id, i.line, i.owner, i.attempt, i.kind, coalesce(i.address, i.source) AS source, i.options
  FROM batches AS b
 CROSS JOIN LATERAL (SELECT * FROM batch_items
                      WHERE batch_id = b.id AND state = 'waiting' AND coalesce(options->>'priority', '') %s 'deferred'
                         AND line > CASE WHEN b.id = $4 THEN $5 ELSE -1 END
                      ORDER BY line LIMIT $2) AS i
 WHERE b.owner = $1 AND b.status = 'running' AND ($3::timestamptz IS NULL OR (b.created_at, b.id) >= ($3, $4))
 ORDER BY b.created_at, b.id, i.line
 LIMIT $2
   FOR SHARE OF b"""
"""From after a place in the order of an owner's items, or from its beginning; what may wait is an order of its own."""

NEXT_WAITING = {False: _NEXT_WAITING % "<>", True: _NEXT_WAITING % "="}
"""By whether they are deferred; each has an index, so that neither kind is searched for among the other."""

CLAIM = """
UPDATE batch_items AS i SET state = 'claimed', claimed_at = now(), job_id = new.job_id
  FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS new (batch_id, line, job_id)
 WHERE i.batch_id = new.batch_id AND i.line = new.line AND i.state = 'waiting'"""

CLAIM_AGAIN = """
UPDATE batch_items AS i SET claimed_at = now()
  FROM (SELECT batch_id, line FROM batch_items
         WHERE state = 'claimed' AND claimed_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED) AS left_behind,
       batches AS b
 WHERE i.batch_id = left_behind.batch_id AND i.line = left_behind.line AND b.id = i.batch_id AND b.status = 'running'
RETURNING i.batch_id, i.line, i.owner, i.attempt, i.kind, coalesce(i.address, i.source) AS source, i.options,
          i.job_id"""

_AND_COUNT = """,
     counted AS (
    SELECT batch_id, count(*) AS items, count(*) FILTER (WHERE state = 'completed') AS completed,
           count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'cancelled') AS cancelled
      FROM moved GROUP BY batch_id)
UPDATE batches AS b
   SET completed = b.completed + counted.completed, failed = b.failed + counted.failed,
       cancelled = b.cancelled + counted.cancelled
  FROM counted WHERE b.id = counted.batch_id
RETURNING b.id AS batch_id, counted.items"""
"""Whatever ends items counts them, in the same statement: how a batch is doing is asked far more often."""

GIVE_UP_CLAIMS = f"""
WITH moved AS (
    UPDATE batch_items AS i
       SET state = 'cancelled', ended_at = now(), job_id = CASE WHEN i.line = ANY($3) THEN NULL ELSE i.job_id END
      FROM batches AS b
     WHERE i.state = 'claimed' AND i.claimed_at < now() - $2::interval AND b.id = i.batch_id
       AND b.id = $1 AND b.status IN ('cancelling', 'deleting')
    RETURNING i.batch_id, i.state){_AND_COUNT}"""  # noqa: S608 - no input

RELEASED = """
UPDATE batch_items AS i SET state = 'released'
  FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS done (batch_id, line, job_id)
 WHERE i.batch_id = done.batch_id AND i.line = done.line AND i.job_id = done.job_id AND i.state = 'claimed'"""

REFUSED = f"""
WITH moved AS (
    UPDATE batch_items AS i
       SET state = 'failed', ended_at = now(), error_field = refused.field, error_code = refused.code,
           error_message = refused.message, job_id = NULL
      FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[])
           AS refused (batch_id, line, job_id, field, code, message)
     WHERE i.batch_id = refused.batch_id AND i.line = refused.line AND i.job_id = refused.job_id
       AND i.state = 'claimed'
    RETURNING i.batch_id, i.state){_AND_COUNT}"""  # noqa: S608 - no input

PUT_BACK = """
UPDATE batch_items AS i SET state = 'waiting', job_id = NULL, claimed_at = NULL
  FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS back (batch_id, line, job_id)
 WHERE i.batch_id = back.batch_id AND i.line = back.line AND i.job_id = back.job_id AND i.state = 'claimed'"""

SETTLE = f"""
WITH ended AS (
    SELECT i.batch_id, i.line, jobs.status, jobs.finished_at, jobs.duration, jobs.error_code, jobs.error_message
      FROM batch_items AS i JOIN jobs ON jobs.id = i.job_id
     WHERE i.state = 'released' AND jobs.finished_at IS NOT NULL
     LIMIT $1
       FOR UPDATE OF i SKIP LOCKED),
     moved AS (
    UPDATE batch_items AS i
       SET state = ended.status, ended_at = ended.finished_at, duration = ended.duration,
           error_code = ended.error_code, error_message = ended.error_message
      FROM ended WHERE i.batch_id = ended.batch_id AND i.line = ended.line
    RETURNING i.batch_id, i.state){_AND_COUNT}"""  # noqa: S608 - no input

SETTLE_ERASED = f"""
WITH gone AS (
    SELECT i.batch_id, i.line FROM batch_items AS i JOIN erased_jobs ON erased_jobs.job_id = i.job_id
     WHERE i.state = 'released'
     LIMIT $1
       FOR UPDATE OF i SKIP LOCKED),
     moved AS (
    UPDATE batch_items AS i SET state = 'cancelled', ended_at = now(), job_id = NULL
      FROM gone WHERE i.batch_id = gone.batch_id AND i.line = gone.line
    RETURNING i.batch_id, i.state){_AND_COUNT}"""  # noqa: S608 - no input

_NAMED = "(state = 'claimed' AND kind = 'upload' AND attempt = 1)"

OUT_OF_BATCH = f"""
SELECT job_id FROM batch_items WHERE batch_id = $1 AND state IN {OUT} AND NOT {_NAMED}"""  # noqa: S608 - no input
"""Claimed ones too: such a job may be in the log already, only not noted as released."""

NAMED = f"SELECT line, owner, source, job_id FROM batch_items WHERE batch_id = $1 AND {_NAMED}"  # noqa: S608 - no input
"""Claimed uploads: the id of their job is known before it is known whether the batch may have it."""

BEING_CLAIMED = "SELECT EXISTS (SELECT FROM batch_items WHERE batch_id = $1 AND state = 'claimed')"

CANCELLED = "UPDATE batches SET status = 'cancelled' WHERE id = $1 AND status = 'cancelling'"

HOLD_UNFINISHED = """
SELECT id FROM batches
 WHERE finished_at IS NULL AND status IN ('running', 'cancelled') AND ($1::uuid[] IS NULL OR id = ANY($1))
 ORDER BY id
   FOR UPDATE SKIP LOCKED"""

FINISH = f"""
UPDATE batches SET status = CASE status WHEN 'running' THEN 'completed' ELSE status END, finished_at = now()
 WHERE id = ANY($1)
   AND NOT EXISTS (SELECT FROM batch_items
                    WHERE batch_id = batches.id AND state IN {OUT})
   AND (status = 'cancelled'
        OR NOT EXISTS (SELECT FROM batch_items WHERE batch_id = batches.id AND state = 'waiting'))"""  # noqa: S608

IS_BUSY = "SELECT EXISTS (SELECT FROM batches WHERE finished_at IS NULL AND status <> 'receiving')"

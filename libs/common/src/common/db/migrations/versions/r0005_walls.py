"""What an owner may use and has used: limits of accounts, counts of jobs, and the functions that count."""

from alembic import op

revision = "0005"
down_revision = "0004"

ADMIT = """
CREATE FUNCTION admit_job(
    the_owner text, the_job uuid, the_time timestamptz,
    per_hour integer, per_month integer, at_once integer, month_seconds double precision, month_usd numeric,
    price numeric, paid boolean, stale interval,
    OUT verdict text, OUT fresh boolean, OUT holding boolean, OUT wait double precision, OUT bucket integer,
    OUT bucket_full double precision, OUT month_jobs integer, OUT outstanding integer,
    OUT used_seconds double precision, OUT used_usd numeric,
    OUT month_begins timestamptz, OUT month_ends timestamptz, OUT month_left double precision
) LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    kept allowances%ROWTYPE;
    hour CONSTANT bigint := 3600000000;
    step bigint := hour / per_hour;
    room bigint;
    month date;
    there boolean;
    held boolean;
    due record;
BEGIN
    INSERT INTO allowances (owner, month, full_at) VALUES (the_owner, '0001-01-01', '0001-01-01 00:00:00Z')
        ON CONFLICT DO NOTHING;
    -- From here on an owner's jobs are counted one after the other. Each statement below sees what was committed before
    -- the lock was had, which one statement with the lock in it would not.
    SELECT * INTO kept FROM allowances WHERE owner = the_owner FOR UPDATE;
    the_time := coalesce(the_time, clock_timestamp());
    month := date_trunc('month', the_time AT TIME ZONE 'UTC')::date;
    month_begins := month::timestamp AT TIME ZONE 'UTC';
    month_ends := (month + interval '1 month') AT TIME ZONE 'UTC';
    month_left := extract(epoch FROM month_ends - the_time);
    IF kept.month < month THEN
        kept.month := month;
        kept.jobs := 0;
        kept.summed_at := NULL;
    END IF;

    -- Not below now, for a bucket is never more than full; not beyond an hour, for a clock may have been set back.
    kept.full_at := least(greatest(kept.full_at, the_time), the_time + interval '1 hour');
    room := hour - (extract(epoch FROM kept.full_at - the_time) * 1000000)::bigint;
    wait := greatest(step - room, 0) / 1000000.0;

    IF coalesce(month_seconds, month_usd) IS NULL AND the_job IS NOT NULL THEN
        NULL;  -- Nobody asks.
    ELSIF kept.summed_at IS NULL OR the_time NOT BETWEEN kept.summed_at AND kept.summed_at + stale THEN
        SELECT coalesce(sum(audio_seconds) FILTER (WHERE service = 'transcription'), 0), coalesce(sum(cost_usd), 0)
          INTO kept.used_seconds, kept.used_usd
          FROM usage WHERE owner = the_owner AND at >= month_begins;
        SELECT coalesce(sum(seconds), 0) AS seconds,
               coalesce(sum(seconds::numeric / 60 * coalesce(counted_jobs.usd_per_minute, 0)), 0) AS usd
          INTO due
          FROM (SELECT id, greatest(duration - (SELECT coalesce(sum(audio_seconds), 0) FROM usage
                                                 WHERE job_id = jobs.id AND service = 'transcription'), 0) AS seconds
                  FROM jobs WHERE owner = the_owner AND finished_at IS NULL AND duration IS NOT NULL) AS going
          LEFT JOIN counted_jobs ON job_id = going.id;
        kept.used_seconds := kept.used_seconds + due.seconds;
        kept.used_usd := kept.used_usd + due.usd;
        kept.summed_at := the_time;
    END IF;

    -- Each counted job's row is looked up by its id: a join might read the whole table while its statistics are young.
    SELECT count(*) INTO outstanding FROM (
        (SELECT id FROM jobs WHERE owner = the_owner AND finished_at IS NULL)
        UNION ALL
        (SELECT job_id FROM counted_jobs
          WHERE owner = the_owner AND pending AND (SELECT id FROM jobs WHERE id = counted_jobs.job_id) IS NULL)
        LIMIT at_once
    ) AS live;
    there := EXISTS (SELECT FROM jobs WHERE id = the_job AND owner = the_owner);
    held := EXISTS (SELECT FROM counted_jobs WHERE job_id = the_job);

    verdict := CASE
        WHEN there THEN 'known'
        WHEN paid AND month_usd IS NOT NULL AND kept.used_usd >= month_usd THEN 'budget'
        WHEN held THEN 'known'
        WHEN per_month IS NOT NULL AND kept.jobs >= per_month THEN 'jobs'
        WHEN month_seconds IS NOT NULL AND kept.used_seconds >= month_seconds THEN 'seconds'
        WHEN per_hour IS NOT NULL AND room < step THEN 'rate'
        WHEN at_once IS NOT NULL AND outstanding >= at_once THEN 'outstanding'
        ELSE 'admitted' END;
    fresh := verdict = 'admitted' AND the_job IS NOT NULL;
    holding := fresh;
    IF fresh THEN
        INSERT INTO counted_jobs (job_id, owner, at, usd_per_minute) VALUES (the_job, the_owner, the_time, price);
        kept.jobs := kept.jobs + 1;
        outstanding := outstanding + 1;
        IF per_hour IS NOT NULL THEN
            kept.full_at := kept.full_at + step * interval '1 microsecond';
            room := room - step;
        END IF;
    ELSIF held THEN
        -- Requests for one job that are under way at once hold its count together: it is given back with the last one.
        holding := verdict = 'known' AND NOT there;
        IF holding OR price > 0 THEN
            UPDATE counted_jobs
               SET usd_per_minute = CASE WHEN price > 0 THEN price ELSE usd_per_minute END,
                   holders = holders + holding::integer
             WHERE job_id = the_job;
        END IF;
    END IF;
    UPDATE allowances
       SET month = kept.month, jobs = kept.jobs, full_at = kept.full_at, summed_at = kept.summed_at,
           used_seconds = kept.used_seconds, used_usd = kept.used_usd
     WHERE owner = the_owner;

    bucket := least(room / step, per_hour);
    bucket_full := (hour - room) / 1000000.0;
    month_jobs := kept.jobs;
    used_seconds := kept.used_seconds;
    used_usd := kept.used_usd;
END $$"""

GIVE_BACK = """
CREATE FUNCTION give_back_job(the_owner text, the_job uuid, per_hour integer) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    counted_at timestamptz;
BEGIN
    PERFORM FROM allowances WHERE owner = the_owner FOR UPDATE;
    UPDATE counted_jobs SET holders = holders - 1 WHERE job_id = the_job AND owner = the_owner;
    DELETE FROM counted_jobs
     WHERE job_id = the_job AND owner = the_owner AND holders <= 0
       AND NOT EXISTS (SELECT FROM jobs WHERE id = the_job)
    RETURNING at INTO counted_at;
    UPDATE allowances
       SET jobs = jobs - (month = date_trunc('month', counted_at AT TIME ZONE 'UTC')::date)::integer,
           full_at = full_at - coalesce(3600000000 / per_hour, 0) * interval '1 microsecond'
     WHERE owner = the_owner AND counted_at IS NOT NULL;
END $$"""

RECOUNT = """
CREATE FUNCTION recount_jobs(
    the_owner text, the_time timestamptz, since timestamptz, lapsed timestamptz,
    OUT given_back integer, OUT added integer
) LANGUAGE plpgsql AS $$
DECLARE
    this_month CONSTANT date := date_trunc('month', the_time AT TIME ZONE 'UTC')::date;
    begun CONSTANT timestamptz := this_month::timestamp AT TIME ZONE 'UTC';
BEGIN
    INSERT INTO allowances (owner, month, full_at) VALUES (the_owner, this_month, the_time) ON CONFLICT DO NOTHING;
    PERFORM FROM allowances WHERE owner = the_owner FOR UPDATE;
    UPDATE allowances SET month = this_month, jobs = 0, summed_at = NULL WHERE owner = the_owner AND month < this_month;
    WITH gone AS (
        DELETE FROM counted_jobs
         WHERE owner = the_owner AND pending AND at < lapsed
           AND NOT EXISTS (SELECT FROM jobs WHERE id = counted_jobs.job_id)
           AND NOT EXISTS (SELECT FROM erased_jobs WHERE erased_jobs.job_id = counted_jobs.job_id)
        RETURNING at
    ) SELECT count(*) FILTER (WHERE at >= begun) INTO given_back FROM gone;
    WITH uncounted AS (
        INSERT INTO counted_jobs (job_id, owner, at, pending)
        SELECT id, owner, created_at, false FROM jobs WHERE owner = the_owner AND created_at >= since
        ON CONFLICT DO NOTHING
        RETURNING at
    ) SELECT count(*) FILTER (WHERE at >= begun) INTO added FROM uncounted;
    UPDATE allowances SET jobs = jobs - given_back + added WHERE owner = the_owner AND given_back <> added;
END $$"""

STATEMENTS = (
    """
CREATE TABLE account_limits (
    owner text PRIMARY KEY,
    limits jsonb NOT NULL,
    updated_at timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN account_limits.limits IS 'By name, what is other than in the plan; null for no limit.'",
    """
CREATE TABLE allowances (
    owner text PRIMARY KEY,
    month date NOT NULL,
    jobs integer NOT NULL DEFAULT 0,
    full_at timestamptz NOT NULL,
    summed_at timestamptz,
    used_seconds double precision NOT NULL DEFAULT 0,
    used_usd numeric NOT NULL DEFAULT 0
) WITH (fillfactor = 50)""",
    "COMMENT ON COLUMN allowances.month IS 'First day of the month that is counted, in UTC.'",
    "COMMENT ON COLUMN allowances.full_at IS 'When the bucket of jobs per hour is full again.'",
    "COMMENT ON COLUMN allowances.summed_at IS 'When used_seconds and used_usd were summed up from usage and jobs.'",
    """
CREATE TABLE counted_jobs (
    job_id uuid PRIMARY KEY,
    owner text NOT NULL,
    at timestamptz NOT NULL,
    usd_per_minute numeric NOT NULL DEFAULT 0,
    pending boolean NOT NULL DEFAULT true,
    holders integer NOT NULL DEFAULT 1
)""",
    "COMMENT ON COLUMN counted_jobs.pending IS 'The job''s row was not seen yet: its upload may be under way.'",
    "COMMENT ON COLUMN counted_jobs.holders IS 'Requests that were let in for the job and have not failed.'",
    "CREATE INDEX counted_jobs_owner ON counted_jobs (owner)",
    "CREATE INDEX counted_jobs_pending ON counted_jobs (owner) WHERE pending",
    "CREATE INDEX counted_jobs_at ON counted_jobs (at)",
    ADMIT,
    GIVE_BACK,
    RECOUNT,
)


def upgrade() -> None:
    """Make the tables and the functions."""
    for statement in STATEMENTS:
        op.execute(statement)

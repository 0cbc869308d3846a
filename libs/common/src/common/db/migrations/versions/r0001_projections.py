"""The projections, and the tables of webhooks."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    lane text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'queued',
    stage text NOT NULL DEFAULT 'gateway',
    fraction double precision NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',
    created_at timestamptz,
    updated_at timestamptz,
    finished_at timestamptz,
    transcribed_at timestamptz,
    filename text,
    content_type text,
    source_blob text,
    size bigint,
    sha256 text,
    options jsonb,
    plan jsonb,
    idempotent boolean NOT NULL DEFAULT false,
    duration double precision,
    media jsonb,
    language text,
    words integer,
    segments integer,
    provider text,
    model text,
    transcript_blob text,
    translations jsonb,
    error_code text,
    error_message text,
    announced boolean NOT NULL DEFAULT false
)""",
    "COMMENT ON COLUMN jobs.created_at IS 'Null until upload.received was seen; users do not see the row before.'",
    "COMMENT ON COLUMN jobs.translations IS 'Languages that follow the transcript; null until it is there.'",
    "CREATE INDEX jobs_owner_created ON jobs (owner, created_at DESC, id DESC)",
    "CREATE INDEX jobs_owner_sha256 ON jobs (owner, sha256)",
    """
CREATE INDEX jobs_unannounced ON jobs (id)
 WHERE finished_at IS NOT NULL AND created_at IS NOT NULL AND NOT announced""",
    """
CREATE TABLE translations (
    job_id uuid,
    language text,
    translator text,
    blob text,
    error_code text,
    error_message text,
    completed_at timestamptz,
    PRIMARY KEY (job_id, language)
)""",
    "COMMENT ON COLUMN translations.completed_at IS 'When it was there, or when it had failed.'",
    """
CREATE TABLE utterances (
    job_id uuid,
    index integer,
    start double precision NOT NULL,
    "end" double precision NOT NULL,
    speaker text,
    text text NOT NULL,
    PRIMARY KEY (job_id, index)
)""",
    """
CREATE TABLE usage (
    id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    owner text NOT NULL,
    service text NOT NULL,
    provider text NOT NULL,
    endpoint text NOT NULL,
    model text,
    audio_seconds double precision NOT NULL,
    tokens bigint NOT NULL,
    cost_usd numeric NOT NULL,
    at timestamptz NOT NULL
)""",
    "CREATE INDEX usage_owner_at ON usage (owner, at)",
    "CREATE INDEX usage_job ON usage (job_id)",
    """
CREATE TABLE erased_jobs (
    job_id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    sweep boolean NOT NULL DEFAULT true,
    proved boolean NOT NULL DEFAULT false,
    owner text,
    languages text[],
    rows integer NOT NULL DEFAULT 0,
    round integer NOT NULL DEFAULT 1
)""",
    "COMMENT ON COLUMN erased_jobs.rows IS 'How many went, for the proof.'",
    "COMMENT ON COLUMN erased_jobs.round IS 'Raised each time a sweep is asked for.'",
    "COMMENT ON COLUMN erased_jobs.sweep IS 'Blobs and log entries are still to go.'",
    "COMMENT ON COLUMN erased_jobs.proved IS 'proof.deleted was published.'",
    "COMMENT ON COLUMN erased_jobs.owner IS 'Kept only while there is something to sweep.'",
    "COMMENT ON COLUMN erased_jobs.languages IS 'Of translations; kept only while there is something to sweep.'",
    "CREATE INDEX erased_jobs_sweep ON erased_jobs (job_id) WHERE sweep",
    """
CREATE TABLE projection_offsets (
    topic text,
    partition integer,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
)""",
    """
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    url text NOT NULL,
    secret text NOT NULL,
    events text[] NOT NULL,
    disabled_at timestamptz,
    disabled_reason text,
    created_at timestamptz NOT NULL
)""",
    "CREATE INDEX webhook_endpoints_owner ON webhook_endpoints (owner)",
    """
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    endpoint_id uuid,
    job_id uuid NOT NULL,
    owner text NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    url text NOT NULL,
    body text,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    delivered_at timestamptz,
    failed_at timestamptz,
    last_status integer,
    last_error text,
    created_at timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN webhook_deliveries.body IS 'Null once its job is erased.'",
    """
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at)
 WHERE delivered_at IS NULL AND failed_at IS NULL""",
    "CREATE INDEX webhook_deliveries_job ON webhook_deliveries (job_id)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)

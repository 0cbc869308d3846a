"""Batches and their items, and jobs that are held back."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    status text NOT NULL,
    request text NOT NULL,
    keyed boolean NOT NULL,
    received integer NOT NULL DEFAULT 0,
    digest text NOT NULL DEFAULT '',
    total integer NOT NULL DEFAULT 0,
    bad integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    cancelled integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    touched_at timestamptz NOT NULL,
    finished_at timestamptz
)""",
    "COMMENT ON COLUMN batches.request IS 'Hash of how it was asked for, besides the body.'",
    "COMMENT ON COLUMN batches.keyed IS 'It came with an Idempotency-Key, so its bare id stays.'",
    "COMMENT ON COLUMN batches.received IS 'Lines that are in batch_items.'",
    "COMMENT ON COLUMN batches.digest IS 'SHA-256 of the body up to there.'",
    "COMMENT ON COLUMN batches.completed IS 'How many items are in this state; changed by what changes their states.'",
    "CREATE INDEX batches_owner_created ON batches (owner, created_at DESC, id DESC)",
    "CREATE INDEX batches_open ON batches (status) WHERE finished_at IS NULL",
    """
CREATE TABLE batch_items (
    batch_id uuid,
    line integer,
    owner text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    job_id uuid,
    reference text,
    kind text,
    address text,
    source text,
    shown text,
    options jsonb,
    claimed_at timestamptz,
    ended_at timestamptz,
    duration double precision,
    error_field text,
    error_code text,
    error_message text,
    PRIMARY KEY (batch_id, line)
)""",
    "COMMENT ON COLUMN batch_items.address IS 'Encrypted, for there may be a secret in it.'",
    "COMMENT ON COLUMN batch_items.source IS 'The name of a blob, or the id of an upload.'",
    "CREATE INDEX batch_items_state ON batch_items (batch_id, state, line)",
    "CREATE INDEX batch_items_out ON batch_items (owner, job_id) WHERE state IN ('claimed', 'released')",
    """
CREATE TABLE held_jobs (
    job_id uuid PRIMARY KEY,
    owner text NOT NULL,
    event jsonb NOT NULL,
    deadline timestamptz,
    held_at timestamptz NOT NULL,
    claimed_at timestamptz
)""",
    "COMMENT ON COLUMN held_jobs.event IS 'The upload.received that is published when it is let go.'",
    "CREATE INDEX jobs_open ON jobs (owner) WHERE finished_at IS NULL",
    "CREATE INDEX batch_items_ended ON batch_items (batch_id, ended_at) WHERE ended_at IS NOT NULL",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)

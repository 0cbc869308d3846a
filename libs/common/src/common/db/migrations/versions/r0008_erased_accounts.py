"""Whose accounts were erased: a bare id each, so that what comes late is erased as well."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """
CREATE TABLE erased_accounts (
    owner text PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    forgotten_at timestamptz,
    swept_at timestamptz,
    jobs integer NOT NULL DEFAULT 0,
    usage integer NOT NULL DEFAULT 0,
    deliveries integer NOT NULL DEFAULT 0
)""",
    "COMMENT ON COLUMN erased_accounts.forgotten_at IS 'When the gateway had nothing left of it; null until then.'",
    "COMMENT ON COLUMN erased_accounts.swept_at IS 'When nothing was left; null until then.'",
    "COMMENT ON COLUMN erased_accounts.jobs IS 'How many there were, for the proof.'",
    "CREATE INDEX webhook_deliveries_owner ON webhook_deliveries (owner)",
    "CREATE INDEX audit_log_account ON audit_log ((details->>'account')) WHERE details ? 'account'",
    "CREATE INDEX batch_items_owner ON batch_items (owner)",
    "CREATE INDEX held_jobs_owner ON held_jobs (owner)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)

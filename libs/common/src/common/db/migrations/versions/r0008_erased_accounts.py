"""Whose accounts were erased: a bare id each, so that what comes late is erased as well."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """
CREATE TABLE erased_accounts (
    owner text PRIMARY KEY,
    asked_at timestamptz NOT NULL,
    swept_at timestamptz,
    jobs integer NOT NULL DEFAULT 0,
    usage integer NOT NULL DEFAULT 0,
    deliveries integer NOT NULL DEFAULT 0
)""",
    "COMMENT ON COLUMN erased_accounts.swept_at IS 'When nothing was left; null until then.'",
    "COMMENT ON COLUMN erased_accounts.jobs IS 'How many there were, for the proof.'",
    "CREATE INDEX webhook_deliveries_owner ON webhook_deliveries (owner)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)

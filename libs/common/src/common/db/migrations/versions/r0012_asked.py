"""What webhooks and API keys were asked for under an Idempotency-Key, so that a repeat is known."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    "ALTER TABLE webhook_endpoints ADD COLUMN asked bytea",
    "ALTER TABLE api_keys ADD COLUMN asked bytea",
    "COMMENT ON COLUMN webhook_endpoints.asked IS 'Hash of the request; null without an Idempotency-Key.'",
    "COMMENT ON COLUMN api_keys.asked IS 'Hash of the request; null without an Idempotency-Key.'",
)


def upgrade() -> None:
    """Add the columns."""
    for statement in STATEMENTS:
        op.execute(statement)

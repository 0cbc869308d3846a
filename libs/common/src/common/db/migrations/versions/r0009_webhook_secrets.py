"""Webhook secrets are encrypted; rows of before are by whoever has the keys: `python -m common.encryption rotate`."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "COMMENT ON COLUMN webhook_endpoints.secret IS 'Fernet, behind a mark; in clear if an earlier release wrote it.'",
)


def upgrade() -> None:
    """Say so."""
    for statement in STATEMENTS:
        op.execute(statement)

"""What must not begin again: links of mails that were answered, and logins elsewhere whose account was ended."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    """
CREATE TABLE used_confirmations (
    digest bytea PRIMARY KEY,
    until timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN used_confirmations.digest IS 'SHA-256 of what the link said.'",
    "COMMENT ON COLUMN used_confirmations.until IS 'When the link ends by itself.'",
    "CREATE INDEX used_confirmations_until ON used_confirmations (until)",
    """
CREATE TABLE ended_identities (
    digest bytea PRIMARY KEY,
    ended_at timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN ended_identities.digest IS 'Of issuer and subject, keyed where the gateway has a pepper.'",
    "CREATE INDEX ended_identities_ended_at ON ended_identities (ended_at)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)

"""Mail on its way: written by whoever has something to say, sent by the notifier."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    """
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    account_id uuid REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL,
    recipient text NOT NULL,
    body text,
    created_at timestamptz NOT NULL,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    failed_at timestamptz,
    last_error text
)""",
    "COMMENT ON COLUMN mails.body IS 'Fernet; null once it was sent or given up.'",
    "CREATE INDEX mails_due ON mails (due_at) WHERE sent_at IS NULL AND failed_at IS NULL",
    "CREATE INDEX mails_account ON mails (account_id)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)

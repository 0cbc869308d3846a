"""The audit log can be asked for an IP address."""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = ("CREATE INDEX audit_log_ip_at ON audit_log (ip, at DESC, id DESC) WHERE ip IS NOT NULL",)


def upgrade() -> None:
    """Make the index."""
    for statement in STATEMENTS:
        op.execute(statement)

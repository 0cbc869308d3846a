"""Which job's results were copied."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN reused_from uuid",
    "COMMENT ON COLUMN jobs.reused_from IS 'The job whose results were copied; it may be gone.'",
)


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS:
        op.execute(statement)

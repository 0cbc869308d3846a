"""Where a job's bytes were fetched from."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN address text",
    "COMMENT ON COLUMN jobs.address IS 'Where the source was to be fetched from, without what may be secret.'",
)


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS:
        op.execute(statement)

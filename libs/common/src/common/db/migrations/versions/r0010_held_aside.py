"""Held jobs count neither as under way nor stand in front of other items; a listing has its turn."""

from alembic import op

from common.db.migrations.versions.r0005_walls import ADMIT

revision = "0010"
down_revision = "0009"

_COUNTED = "(SELECT id FROM jobs WHERE owner = the_owner AND finished_at IS NULL)"
_NOT_HELD = """(SELECT id FROM jobs WHERE owner = the_owner AND finished_at IS NULL
            AND (SELECT job_id FROM held_jobs WHERE job_id = jobs.id) IS NULL)"""
if _COUNTED not in ADMIT:
    _MESSAGE = "the function of revision 0005 is not the one that revision 0010 changes"
    raise RuntimeError(_MESSAGE)
_WAITS = "state = 'waiting' AND coalesce(options->>'priority', '')"

STATEMENTS = (
    ADMIT.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(_COUNTED, _NOT_HELD),
    f"CREATE INDEX batch_items_next ON batch_items (batch_id, line) WHERE {_WAITS} <> 'deferred'",
    f"CREATE INDEX batch_items_next_deferred ON batch_items (batch_id, line) WHERE {_WAITS} = 'deferred'",
    "ALTER TABLE batches ADD COLUMN turn_until timestamptz",
    "COMMENT ON COLUMN batches.turn_until IS 'Until when one request lists its prefix, and no other; null for none.'",
)


def upgrade() -> None:
    """Replace the function; make the indexes and the column."""
    for statement in STATEMENTS:
        op.execute(statement)

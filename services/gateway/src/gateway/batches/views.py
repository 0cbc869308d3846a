"""Batches and items as people see them."""

from typing import Any, cast
from uuid import UUID

from common.events import ErrorInfo
from gateway.batches.eta import eta_seconds
from gateway.batches.models import Batch, BatchItem, BatchStatus, BatchSummary, ItemStatus
from gateway.batches.store import RUNNING, BatchRow, Tally

BAD_LINE = "bad_line"


def status_of(status: str) -> BatchStatus:
    """A batch's status; that a cancellation has still to reach the running jobs is our own affair."""
    return "cancelled" if status == "cancelling" else cast("BatchStatus", status)


def summary(row: BatchRow) -> BatchSummary:
    """A batch in a list."""
    return BatchSummary(
        id=row.id,
        status=status_of(row.status),
        total=row.total,
        bad=row.bad,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def view(row: BatchRow, tally: Tally) -> Batch:
    """A batch with its numbers; while it is being received, of what was received."""
    dropped = row.status in {"cancelling", "cancelled"}
    out = tally.out
    return Batch(
        **summary(row).model_dump(),
        queued=out.get("queued", 0) + (0 if dropped else tally.waiting),
        running=sum(out.get(status, 0) for status in RUNNING),
        completed=row.completed + out.get("completed", 0),
        failed=row.failed + out.get("failed", 0),
        cancelled=row.cancelled + out.get("cancelled", 0) + (tally.waiting if dropped else 0),
        eta_seconds=None if dropped else eta_seconds(tally),
    )


def item(row: Any) -> BatchItem:
    """A row of `gateway.batches.statements.ITEMS` as an item."""
    error = None
    if row["error_message"] is not None:
        error = ErrorInfo(code=row["error_code"] or BAD_LINE, message=row["error_message"])
    return BatchItem(
        line=row["line"],
        status=cast("ItemStatus", "running" if row["status"] in RUNNING else row["status"]),
        reference=row["reference"],
        job_id=cast("UUID | None", row["job_id"]),
        attempt=row["attempt"],
        duration=row["duration"],
        field=row["error_field"],
        error=error,
        **({row["kind"]: row["shown"]} if row["kind"] else {}),
    )

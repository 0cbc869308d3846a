"""What the addresses of batches answer and take."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.events import ErrorInfo
from common.options import JobOptions

BatchStatus = Literal["receiving", "running", "completed", "cancelled"]
ItemStatus = Literal["queued", "running", "completed", "failed", "cancelled", "bad"]


class BatchDefaults(JobOptions):
    """Options of every item, which a line's own come before, and how to take the manifest."""

    strict: bool = Field(default=False, description="Refuse the whole manifest when one line is bad.")


class BatchPrefix(BaseModel):
    """Every blob below a prefix as a batch."""

    model_config = ConfigDict(extra="forbid")

    prefix: str = Field(
        max_length=1024,
        description="Folder in the drop area, ending in `/`, or nothing for all of it; an admin's is a whole name.",
    )


class BatchAccepted(BaseModel):
    """A batch that was just received."""

    id: UUID
    status: BatchStatus
    total: int = Field(description="Items, bad lines included.")
    bad: int = Field(description="Lines that are no items; they are listed with `status=bad`.")


class BatchSummary(BatchAccepted):
    """A batch in a list."""

    created_at: datetime
    finished_at: datetime | None = None


class Batch(BatchSummary):
    """A batch and how many of its items are in which state; the numbers add up to `total`."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    eta_seconds: float | None = Field(
        default=None,
        description="Seconds of work left, from the audio that waits and the audio that was done lately; null until "
        "an item has ended, and when all have.",
    )


class BatchPage(BaseModel):
    """Batches, newest first."""

    batches: list[BatchSummary]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class BatchesQuery(BaseModel):
    """What of the batches to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=100, description="Batches on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")


class BatchItem(BaseModel):
    """One line of a manifest and what became of it."""

    line: int = Field(description="Line of the manifest, from 1; of a prefix, the number of the blob.")
    status: ItemStatus
    reference: str | None = None
    url: str | None = Field(default=None, description="Without user, query and fragment, where secrets are.")
    blob: str | None = None
    upload: str | None = None
    job_id: UUID | None = Field(default=None, description="Its job; null before it is released.")
    attempt: int = 1
    duration: float | None = Field(default=None, description="Seconds of audio, once known.")
    field: str | None = Field(default=None, description="What of the line is wrong.")
    error: ErrorInfo | None = None


class BatchItems(BaseModel):
    """Items in the order of their lines."""

    items: list[BatchItem]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class ItemsQuery(BaseModel):
    """What of the items to list."""

    model_config = ConfigDict(extra="forbid")

    status: ItemStatus | None = Field(default=None, description="Only items in this state.")
    limit: int = Field(default=100, ge=1, le=1000, description="Items on a page.")
    cursor: str | None = Field(default=None, pattern=r"^[0-9]{1,9}$", description="`next_cursor` of the page before.")

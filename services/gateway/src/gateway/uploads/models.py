"""What is known of an upload, as it is kept beside its bytes: each document is written once and never changed."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common import ids, layout
from common.events import BlobRef, UploadReceived
from common.options import JobOptions, SegmentPlan


class Upload(BaseModel):
    """An upload as it was created; sizes in bytes."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    owner: str
    kind: Literal["whole", "partial", "final"] = "whole"
    parts: tuple[UUID, ...] = ()
    concat: str | None = None
    length: int | None = None
    metadata: str | None = None
    filename: str | None = None
    content_type: str | None = None
    options: JobOptions = JobOptions()
    plan: SegmentPlan | None = None
    hold: bool = False
    created_at: datetime

    @property
    def job_id(self) -> UUID:
        """The job it becomes; its folder holds what is known of the upload too."""
        return ids.upload_job(self.owner, self.id)

    @property
    def bytes_name(self) -> str:
        """Name of the blob that its bytes become."""
        if self.kind == "partial":
            return f"{layout.upload(self.owner, self.job_id)}bytes"
        return layout.uploaded(self.owner, self.job_id)


class Length(BaseModel):
    """The length of an upload that did not say it at first."""

    length: int


class Finished(BaseModel):
    """An upload whose bytes are all there; with the event that makes it a job, unless it shall not become one."""

    size: int
    sha256: str
    finished_at: datetime
    event: UploadReceived | None = None


class TakenBy(BaseModel):
    """Who took a held upload."""

    by: str


class Taken(BaseModel):
    """An upload's bytes, for who took it.

    The job made of them must have the id ``job_id``: the bytes lie in its folder, and are erased with it. One that was
    not held is that job already, by its ``event``.
    """

    job_id: UUID
    source: BlobRef
    sha256: str
    filename: str | None
    content_type: str | None
    options: JobOptions
    event: UploadReceived | None = None

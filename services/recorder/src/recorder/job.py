"""A job as the recorder knows it: one row and its translations, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

STAGES = ("gateway", "transcoder", "transcriber", "translator")
"""The stages in the order in which a job goes through them."""

WORKING = ("queued", "transcoding", "transcribing", "translating")
"""The status of a job whose furthest stage is the one of the same index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One translation: a blob, or the error that took its place; both None is one that is awaited.

    ``completed_at`` is when it was there, or when it had failed.
    """

    language: str
    translator: str | None = None
    blob: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    completed_at: datetime | None = None

    @property
    def settled(self) -> bool:
        """Whether it is there or has failed."""
        return self.blob is not None or self.error_code is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job's row, column for column, and its translations by language.

    ``created_at`` is None while only other events than `upload.received` were seen. ``translations`` are the
    languages that follow the transcript, None until it is there. A job with an ``address`` has no ``size`` and
    ``sha256`` until the bytes are fetched. Seconds are floats.
    """

    id: UUID
    owner: str
    lane: str
    attempt: int = 1
    status: str = "queued"
    stage: str = "gateway"
    fraction: float = 0.0
    detail: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    transcribed_at: datetime | None = None
    filename: str | None = None
    content_type: str | None = None
    source_blob: str | None = None
    size: int | None = None
    sha256: str | None = None
    options: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    idempotent: bool = False
    duration: float | None = None
    media: Mapping[str, str | int | float] | None = None
    language: str | None = None
    words: int | None = None
    segments: int | None = None
    provider: str | None = None
    model: str | None = None
    transcript_blob: str | None = None
    translations: tuple[str, ...] | None = None
    error_code: str | None = None
    error_message: str | None = None
    announced: bool = False
    reused_from: UUID | None = None
    address: str | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether a terminal fact was recorded."""
        return self.finished_at is not None

    @property
    def to_announce(self) -> bool:
        """Whether the job has ended, is known to have been accepted, and nobody was told."""
        return self.ended and self.created_at is not None and not self.announced

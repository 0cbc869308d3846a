"""The contract: one frozen class per event, with its topic and key; fields are only ever added, and optional."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Literal, TypedDict
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common import ids
from common.options import JobOptions, Lane, SegmentPlan

INLINE_TEXT_LIMIT = 64 * 1024
"""Bytes of UTF-8 text that may travel inside an event; the rest stays in the blob."""

Stage = Literal["gateway", "transcoder", "transcriber", "translator", "recorder"]


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class BlobRef(BaseModel):
    """A reference to stored bytes: the blob's name and, where known, its size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int | None = None


class ErrorInfo(BaseModel):
    """Why something failed, for a program (``code``) and for a person (``message``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str


class JobFields(TypedDict):
    """What all events of one attempt of a job share."""

    job_id: UUID
    owner: str
    lane: Lane
    attempt: int


class Event(BaseModel):
    """What every event has. ``time`` is when it happened; it goes into the rows, never the database's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    """Name of the event and of its topic (work topics add the lane)."""
    lanes: ClassVar[bool] = False
    """Whether the topic exists once per lane."""

    job_id: UUID
    owner: str
    lane: Lane = "interactive"
    attempt: int = Field(default=1, ge=1, description="The job's attempt; delivery attempts are counted in headers.")
    time: AwareDatetime = Field(default_factory=now)

    @property
    def job(self) -> JobFields:
        """What an event that follows from this one has in common with it: ``Next(**event.job, …)``."""
        return {"job_id": self.job_id, "owner": self.owner, "lane": self.lane, "attempt": self.attempt}

    @property
    def part(self) -> str:
        """What of the job the event is about: a segment's index, a language, or nothing."""
        return ""

    @property
    def key(self) -> str:
        """The Kafka key: events with one key stay in order."""
        return str(self.job_id)

    @property
    def id(self) -> UUID:
        """The event's derived id: the same fact always has the same id."""
        return ids.event_id(self.job_id, self.type, self.attempt, self.part)

    @property
    def topic(self) -> str:
        """The topic this event belongs on."""
        return f"{self.type}.{self.lane}" if self.lanes else self.type


class UploadReceived(Event):
    """A job was accepted, and its bytes, or the address to fetch them from, are stored."""

    type: ClassVar[str] = "upload.received"
    lanes: ClassVar[bool] = True

    source: BlobRef
    filename: str | None = None
    content_type: str | None = None
    sha256: str = Field(description="Of the source's bytes; when it is an address, of the blob that holds that.")
    options: JobOptions = JobOptions()
    plan: SegmentPlan
    idempotent: bool = Field(default=False, description="The client sent an Idempotency-Key.")
    same_as: UUID | None = Field(
        default=None,
        description="A completed job of the owner with these bytes and options; its results may be copied.",
    )
    remote: bool = Field(
        default=False, description="The source holds an address; the transcoder fetches the bytes from there."
    )
    address: str | None = Field(
        default=None, description="That address for people: without user, query and fragment, where secrets are."
    )


class SegmentReady(Event):
    """A piece of the audio is cut and stored; published after the job's manifest, so ``count`` is known."""

    type: ClassVar[str] = "segment.ready"
    lanes: ClassVar[bool] = True

    index: int = Field(ge=0)
    count: int = Field(ge=1)
    start: float = Field(ge=0, description="Seconds from the start of the recording.")
    end: float = Field(ge=0, description="Seconds from the start of the recording.")
    audio: BlobRef
    provider: str
    options: JobOptions = JobOptions()

    @property
    def part(self) -> str:
        """The segment's index."""
        return str(self.index)

    @property
    def key(self) -> str:
        """The job and which of its segments: they take the partitions in turn, see `partition_of`."""
        return f"{self.job_id}#{self.index}"


class SegmentTranscribed(Event):
    """A segment's result is stored."""

    type: ClassVar[str] = "segment.transcribed"

    index: int = Field(ge=0)
    count: int = Field(ge=1)
    result: BlobRef

    @property
    def part(self) -> str:
        """The segment's index."""
        return str(self.index)


class TranscriptCompleted(Event):
    """A job's transcript is assembled and stored; the topic is compacted and made to forget by a tombstone."""

    type: ClassVar[str] = "transcript.completed"

    transcript: BlobRef
    text: str = Field(description="The text, up to 64 KiB; see ``truncated``.")
    truncated: bool = False
    language: str
    duration: float = Field(ge=0, description="Seconds of audio.")
    words: int = Field(ge=0, description="How many words.")
    segments: int = Field(ge=1)
    provider: str
    model: str | None = None
    translations: tuple[str, ...] = Field(default=(), description="Languages that were asked for and will follow.")
    reused_from: UUID | None = Field(default=None, description="The job this is a copy from; nothing was done anew.")


class TranslationRequested(Event):
    """A finished transcript is to be translated into one language."""

    type: ClassVar[str] = "translation.requested"
    lanes: ClassVar[bool] = True

    language: str
    source_language: str
    transcript: BlobRef
    translator: str

    @property
    def part(self) -> str:
        """The target language."""
        return self.language

    @property
    def key(self) -> str:
        """Job and language."""
        return f"{self.job_id}/{self.language}"


class TranslationCompleted(Event):
    """A translation is stored; the topic is compacted and made to forget by a tombstone."""

    type: ClassVar[str] = "translation.completed"

    language: str
    translation: BlobRef
    text: str = Field(description="The text, up to 64 KiB; see ``truncated``.")
    truncated: bool = False
    translator: str
    model: str | None = None

    @property
    def part(self) -> str:
        """The target language."""
        return self.language

    @property
    def key(self) -> str:
        """Job and language."""
        return f"{self.job_id}/{self.language}"


class StageProgress(Event):
    """How far a stage is with a job; at most one a second for a job."""

    type: ClassVar[str] = "stage.progress"

    stage: Stage
    fraction: float = Field(ge=0, le=1)
    detail: str = ""
    duration: float | None = Field(default=None, description="Seconds of audio, once known.")
    media: Mapping[str, str | int | float] | None = Field(default=None, description="Codec, channels, sample rate.")
    source: BlobRef | None = Field(default=None, description="The bytes that were fetched, of a job with an address.")
    sha256: str | None = Field(default=None, description="Of those bytes.")

    @property
    def part(self) -> str:
        """Stage and fraction: progress at one point is one fact."""
        return f"{self.stage}/{self.fraction:.4f}"


class StageFailed(Event):
    """A stage gave up on an event: it was refused for good, or its retries are used up."""

    type: ClassVar[str] = "stage.failed"

    stage: Stage
    failed_part: str = Field(default="", description="The segment or the language that failed.")
    error: ErrorInfo
    delivery_attempts: int = 1

    @property
    def part(self) -> str:
        """Stage and failed part."""
        return f"{self.stage}/{self.failed_part}"


class TranslationOutcome(BaseModel):
    """One requested translation in a terminal event: a blob, or the error that took its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    translation: BlobRef | None = None
    translator: str | None = None
    error: ErrorInfo | None = None


class Terminal(Event):
    """What the recorder announces when a job has ended, after the rows are in; every column a rebuild needs."""

    created_at: AwareDatetime
    source: BlobRef | None = None
    address: str | None = Field(default=None, description="Where the source was fetched from; see `upload.received`.")
    filename: str | None = None
    content_type: str | None = None
    sha256: str | None = None
    options: JobOptions | None = None
    duration: float | None = None
    language: str | None = None
    words: int | None = None
    segments: int | None = None
    provider: str | None = None
    model: str | None = None
    transcript: BlobRef | None = None
    translations: tuple[TranslationOutcome, ...] = ()
    error: ErrorInfo | None = None
    reused_from: UUID | None = None


class JobCompleted(Terminal):
    """A job's transcript and every requested translation (or its error) are recorded."""

    type: ClassVar[str] = "job.completed"


class JobFailed(Terminal):
    """A job ended without a transcript; ``error`` says why."""

    type: ClassVar[str] = "job.failed"


class JobCancelled(Terminal):
    """A job was cancelled by its owner before it ended otherwise."""

    type: ClassVar[str] = "job.cancelled"


class JobControl(Event):
    """A user's word about a job; every instance of every stage reads them all before it works."""

    type: ClassVar[str] = "job.control"

    action: Literal["cancel", "delete"]

    @property
    def part(self) -> str:
        """The action."""
        return self.action


class UsageRecorded(Event):
    """One billable act, published by whoever won the result."""

    type: ClassVar[str] = "usage.recorded"

    usage_id: UUID
    service: Literal["transcription", "translation"]
    provider: str
    endpoint: str
    model: str | None = None
    audio_seconds: float = 0.0
    tokens: int = 0
    cost_usd: float = 0.0

    @property
    def part(self) -> str:
        """The usage id, which is derived from the segment or language that was paid for."""
        return str(self.usage_id)

    @property
    def key(self) -> str:
        """The usage id: the topic is compacted by it."""
        return str(self.usage_id)


class ProofDeleted(Event):
    """What was erased, where and when; no content."""

    type: ClassVar[str] = "proof.deleted"

    blobs: int = 0
    rows: int = 0
    tombstones: int = 0


REGISTRY: Mapping[str, type[Event]] = {
    cls.type: cls
    for cls in (
        UploadReceived,
        SegmentReady,
        SegmentTranscribed,
        TranscriptCompleted,
        TranslationRequested,
        TranslationCompleted,
        StageProgress,
        StageFailed,
        JobCompleted,
        JobFailed,
        JobCancelled,
        JobControl,
        UsageRecorded,
        ProofDeleted,
    )
}
"""Every event by its type."""


def inline_text(text: str) -> tuple[str, bool]:
    """Cut a text to what may travel inside an event.

    Returns
    -------
    tuple of str and bool
        The text, at most `INLINE_TEXT_LIMIT` bytes of UTF-8, and whether it was cut.
    """
    raw = text.encode()
    if len(raw) <= INLINE_TEXT_LIMIT:
        return text, False
    return raw[:INLINE_TEXT_LIMIT].decode(errors="ignore"), True

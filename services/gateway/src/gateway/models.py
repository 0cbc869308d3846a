"""What the gateway answers and takes as JSON; the OpenAPI document is made from these."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypedDict
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.address import LONGEST
from common.events import ErrorInfo, UploadReceived
from common.options import JobOptions, Lane
from common.stored_audio import Facts, without_stored
from common.stored_audio import StoredAudio as Stored

Status = Literal["queued", "transcoding", "transcribing", "translating", "completed", "failed", "cancelled"]

ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""States a job does not leave again."""


class TranslationState(BaseModel):
    """How far one requested translation is."""

    language: str
    status: Literal["pending", "completed", "failed"] = "pending"
    translator: str | None = None
    error: ErrorInfo | None = None


class Links(BaseModel):
    """Addresses that belong to a job."""

    self: str  # the name clients know from hypermedia formats
    events: str
    transcript: str
    audio: str | None = Field(default=None, description="Of the stored audio; null where none was asked for.")

    @classmethod
    def of(cls, job: UUID, options: JobOptions) -> "Links":
        """The addresses of one job with these options."""
        here = f"/v1/jobs/{job}"
        audio = None if options.audio_format is None else f"{here}/audio"
        return cls(self=here, events=f"{here}/events", transcript=f"{here}/transcript", audio=audio)


class StoredAudio(BaseModel):
    """The audio that is stored beside the original."""

    model_config = ConfigDict(frozen=True)

    format: str = Field(description="What `audio_format` asked for.")
    codec: str
    channels: int
    sample_rate: int = Field(description="Samples a second.")
    duration: float = Field(description="Seconds.")
    size: int = Field(description="Bytes.")


class Heard(TypedDict):
    """What a job says of its media."""

    media: Facts | None
    audio: StoredAudio | None


def told_of(media: Facts | None) -> Heard:
    """The facts of a recording, and of the audio that was stored of it, from what a stage told of both."""
    if media is None:
        return {"media": None, "audio": None}
    stored = Stored.among(media)
    audio = None
    if stored is not None:
        audio = StoredAudio(
            format=stored.format,
            codec=stored.codec,
            channels=stored.channels,
            sample_rate=stored.sample_rate,
            duration=stored.seconds,
            size=stored.size,
        )
    return {"media": without_stored(media), "audio": audio}


class Job(BaseModel):
    """A job as its owner sees it; seconds are floats, sizes are bytes."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    status: Status
    stage: str | None = Field(default=None, description="Service at work.")
    fraction: float = Field(default=0.0, ge=0, le=1, description="How far the stage is, 0 to 1.")
    detail: str = Field(default="", description="What is happening, for a person.")
    filename: str | None = None
    url: str | None = Field(
        default=None, description="Where the file is fetched from, without the parts that may be secret."
    )
    size: int | None = Field(default=None, description="Bytes; null until they are fetched.")
    sha256: str | None = Field(default=None, description="Of the bytes; null until they are fetched.")
    content_type: str | None = None
    options: JobOptions = JobOptions()
    priority: Lane = "interactive"
    language: str | None = Field(default=None, description="Language of the transcript, once there.")
    duration: float | None = Field(default=None, description="Seconds of audio, once known.")
    media: Mapping[str, str | int | float] | None = Field(
        default=None, description="The recording's container, codec, channels and sample rate, once known."
    )
    audio: StoredAudio | None = Field(
        default=None, description="The audio that `audio_format` asked for, once it is stored."
    )
    words: int | None = None
    segments: int | None = None
    provider: str | None = None
    model: str | None = None
    reused_from: UUID | None = Field(
        default=None, description="The job whose results were copied for this one; it may be gone since."
    )
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    error: ErrorInfo | None = Field(default=None, description="Why it failed; null otherwise.")
    translations: tuple[TranslationState, ...] = ()
    links: Links

    @classmethod
    def accepted(cls, event: UploadReceived) -> "Job":
        """The job as it is when its upload was just accepted."""
        return cls(
            id=event.job_id,
            status="queued",
            stage="gateway",
            filename=event.filename,
            url=event.address,
            size=event.source.size,
            sha256=None if event.remote else event.sha256,
            content_type=event.content_type,
            options=event.options,
            priority=event.lane,
            created_at=event.time,
            updated_at=event.time,
            translations=tuple(TranslationState(language=language) for language in event.options.translate),
            links=Links.of(event.job_id, event.options),
        )


class NewJob(BaseModel):
    """A job whose file is fetched from an address."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="http or https address of a file, or of a page of a video site that is known here.",
    )
    options: JobOptions = Field(default=JobOptions(), description="What to do with it.")


class JobPage(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")
    counts: Mapping[Status, int] = Field(description="How many jobs there are in each state, over all pages.")


class JobsQuery(BaseModel):
    """What of the jobs to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=100, description="Jobs on a page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    status: Status | None = Field(default=None, description="Only jobs in this state.")


class TranscriptQuery(BaseModel):
    """In which form and language to give a transcript."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["json", "txt", "srt", "vtt"] = Field(default="json", description="Form of the answer.")
    language: str | None = Field(
        default=None, max_length=35, description="A requested translation; by default the language spoken."
    )
    speakers: bool = Field(default=True, description="Name the speakers in txt, srt and vtt where they are known.")


class Deletion(BaseModel):
    """An erasure that is under way."""

    id: UUID
    status: Literal["deleting"] = "deleting"


WebhookEvent = Literal["job.completed", "job.failed", "job.cancelled"]

ALL_WEBHOOK_EVENTS: tuple[WebhookEvent, ...] = ("job.completed", "job.failed", "job.cancelled")


class NewWebhook(BaseModel):
    """An address to register."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, description="https address that receives the events.")
    events: tuple[WebhookEvent, ...] = Field(
        default=ALL_WEBHOOK_EVENTS, min_length=1, max_length=3, description="Which events to send."
    )


class Webhook(BaseModel):
    """A registered address."""

    id: UUID
    url: str
    events: list[WebhookEvent]
    created_at: AwareDatetime
    disabled_at: AwareDatetime | None = None
    disabled_reason: str | None = None


class WebhookCreated(Webhook):
    """A new address with the secret that signs what is sent there; the secret is shown this once."""

    secret: str = Field(description="Standard Webhooks secret, `whsec_…`.")


class WebhookList(BaseModel):
    """Every registered address."""

    webhooks: list[Webhook]


class Health(BaseModel):
    """Whether a part serves, and what is wrong where it does not."""

    status: Literal["ok", "degraded", "unready"]
    reasons: list[str] = []

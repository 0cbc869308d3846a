"""What a user may ask for with a job, and the plan by which its audio is cut."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from common.audio_formats import AudioFormatName

Lane = Literal["interactive", "bulk"]

Priority = Literal["interactive", "bulk", "deferred"]
"""What a client asks for; deferred work runs in the bulk lane, once there is room for it."""

LanguageTag = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$", max_length=35)]
"""A BCP 47 language tag such as ``en`` or ``pt-BR``."""

PluginName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
"""The name of a plug-in, which is that of its entry point; one that is not installed is refused with those that are."""


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = "must be between the years 1 and 9999 in UTC"
        raise ValueError(msg) from None


class JobOptions(BaseModel):
    """Options of a job as a client sends them; an unknown name is refused, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: LanguageTag = Field(default="en", description="Spoken language, BCP 47.")
    provider: str | None = Field(
        default=None, max_length=40, description="Recognition engine; by default the first configured that can do it."
    )
    model: str | None = Field(default=None, max_length=80, description="The engine's model; its default otherwise.")
    translate: tuple[LanguageTag, ...] = Field(
        default=(), max_length=20, description="Languages to translate the transcript into."
    )
    translator: str | None = Field(
        default=None, max_length=40, description="Translation engine; by default the first configured that can do it."
    )
    diarize: bool = Field(default=False, description="Tell speakers apart.")
    speakers: int | None = Field(default=None, ge=1, le=10, description="How many speakers to expect.")
    punctuate: bool = Field(default=True, description="Punctuation and capitals where the engine offers them.")
    profanity: Literal["raw", "masked", "removed"] = Field(default="raw", description="What happens to profanity.")
    keyterms: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=100, description="Names and terms to listen for."
    )
    priority: Priority = Field(
        default="interactive",
        description="Lane of the job's work; `deferred` waits until its owner has nothing else at work and little is "
        "at work altogether, or its deadline comes near, and then goes to the bulk lane.",
    )
    deadline: Annotated[AwareDatetime, AfterValidator(_utc)] | None = Field(
        default=None, description="With `deferred`: when the work is to begin at the latest, as ISO 8601 with a zone."
    )
    callback_url: str | None = Field(
        default=None, max_length=2000, description="Address that receives this job's terminal event, signed."
    )
    reuse: bool = Field(
        default=True,
        description="Take the results of a completed job with the same bytes and options; false works anew.",
    )
    plugins: tuple[PluginName, ...] | None = Field(
        default=None,
        max_length=10,
        description="Plug-ins, in the order in which they run; an empty list for none, left out for those the operator "
        "chose.",
    )
    audio_format: AudioFormatName | None = Field(
        default=None,
        # Left out where nobody asked for it: events without it are those that older readers know.
        exclude_if=lambda name: name is None,
        description="Store the audio in this format as well, for download; nothing more is stored without it.",
    )

    @property
    def lane(self) -> Lane:
        """The lane that the priority means."""
        return "bulk" if self.priority == "deferred" else self.priority


BESIDE_THE_RESULT = ("priority", "deadline", "callback_url", "reuse", "audio_format")
"""Options that have no part in what is recognised: two jobs that differ in these only are the same again. Audio that is
to be stored is stored for the second one too, see `docs/adr/0025-stored-audio.md`."""


class SegmentPlan(BaseModel):
    """How the transcoder cuts the audio; set by the gateway from the engine's catalogue entry.

    ``max_seconds`` None means one segment: the engine must hear the whole file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    max_seconds: float | None = Field(default=300.0, gt=1)

"""The neutral transcript: what every engine's answer becomes; all times are seconds as floats."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(_Model):
    """One word; ``confidence`` 0..1 or None where the engine gives none, ``speaker`` as the engine names it."""

    word: str
    start: float
    end: float
    confidence: float | None = None
    speaker: str | None = None


class Utterance(_Model):
    """A stretch of speech by one speaker without a long pause."""

    start: float
    end: float
    text: str
    speaker: str | None = None
    confidence: float | None = None


class Paragraph(_Model):
    """Utterances that belong together."""

    start: float
    end: float
    text: str
    speaker: str | None = None


class Billed(_Model):
    """What making a result cost, and when; kept with it, so that telling of it again tells the same."""

    endpoint: str
    audio_seconds: float = 0.0
    tokens: int = 0
    cost_usd: float = 0.0
    at: AwareDatetime | None = None


class SegmentResult(_Model):
    """What an engine heard in one segment; times count from the start of the whole recording.

    ``utterances`` may be empty: the assembler then makes them from words and pauses.
    """

    index: int = Field(ge=0)
    start: float
    end: float
    text: str
    language: str
    words: tuple[Word, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    provider: str
    model: str | None = None
    billed: Billed | None = None


class Transcript(_Model):
    """A job's transcript as users get it; its words come last, so that readers of the rest may stop before them.

    ``language`` is the one the engine was told, ``detected_language`` the one a plug-in found, where one looked.
    """

    text: str
    language: str
    detected_language: str | None = None
    duration: float
    provider: str = ""
    model: str | None = None
    utterances: tuple[Utterance, ...] = ()
    paragraphs: tuple[Paragraph, ...] = ()
    words: tuple[Word, ...] = ()


class Cue(_Model):
    """A subtitle: one or two lines of text with its time."""

    start: float
    end: float
    text: str
    speaker: str | None = None


class Translation(_Model):
    """A transcript in another language; one utterance for each of the original's, with its times."""

    text: str
    language: str
    source_language: str
    duration: float
    utterances: tuple[Utterance, ...] = ()
    provider: str = ""
    model: str | None = None
    billed: Billed | None = None

"""What is announced of a transcript: all but its utterances, paragraphs and words."""

from dataclasses import dataclass
from typing import Self

from common.transcript import Transcript


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The facts of a transcript; ``words`` says how many, ``duration`` is in seconds."""

    text: str
    language: str
    duration: float
    words: int
    provider: str
    model: str | None
    detected_language: str | None = None

    @classmethod
    def of_stored(cls, raw: bytes) -> Self:
        """Of a transcript as it is stored; of hours of speech this takes a while."""
        transcript = Transcript.model_validate_json(raw)
        return cls(
            text=transcript.text,
            language=transcript.language,
            duration=transcript.duration,
            words=len(transcript.words) or len(transcript.text.split()),
            provider=transcript.provider,
            model=transcript.model,
            detected_language=transcript.detected_language,
        )

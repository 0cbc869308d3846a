"""What is announced of a transcript: all but its utterances, paragraphs and words."""

from dataclasses import dataclass
from typing import Self

from common.transcript import Transcript
from transcriber.merge import Merge


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The facts of a transcript; ``words`` says how many, ``duration`` is in seconds."""

    text: str
    language: str
    duration: float
    words: int
    provider: str
    model: str | None

    @classmethod
    def of_merge(cls, merge: Merge) -> Self:
        """Of a transcript that was just made."""
        return cls._of(merge, merge.count)

    @classmethod
    def of_stored(cls, raw: bytes) -> Self:
        """Of a transcript as it is stored."""
        transcript = Transcript.model_validate_json(raw)
        return cls._of(transcript, len(transcript.words))

    @classmethod
    def _of(cls, made: Merge | Transcript, words: int) -> Self:
        return cls(
            text=made.text,
            language=made.language,
            duration=made.duration,
            words=words or len(made.text.split()),
            provider=made.provider,
            model=made.model,
        )

"""The events that tell of a finished result: the same of the same result, whoever stored it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from common import layout
from common.events import BlobRef, Event, TranscriptCompleted, TranslationCompleted, inline_text, now
from common.outline import Outline
from common.transcript import Translation


def transcript_completed(
    event: Event,
    outline: Outline,
    *,
    segments: int,
    translations: Sequence[str],
    reused_from: UUID | None = None,
) -> TranscriptCompleted:
    """Tell of a job's stored transcript.

    Parameters
    ----------
    event
        Any event of the job.
    outline
        What is stored.
    segments
        How many pieces the audio was cut into.
    translations
        Languages that follow.
    reused_from
        The job it was copied from.
    """
    text, truncated = inline_text(outline.text)
    return TranscriptCompleted(
        **event.job,
        transcript=BlobRef(name=layout.transcript(event.owner, event.job_id)),
        text=text,
        truncated=truncated,
        language=outline.language,
        duration=outline.duration,
        words=outline.words,
        segments=segments,
        provider=outline.provider,
        model=outline.model,
        translations=tuple(translations),
        reused_from=reused_from,
        detected_language=outline.detected_language,
    )


def translation_completed(
    event: Event, language: str, translation: Translation, *, time: datetime | None = None
) -> TranslationCompleted:
    """Tell of a job's stored translation into a language; ``time`` is when it was stored, now by default."""
    text, truncated = inline_text(translation.text)
    return TranslationCompleted(
        **event.job,
        time=time or now(),
        language=language,
        translation=BlobRef(name=layout.translation(event.owner, event.job_id, language)),
        text=text,
        truncated=truncated,
        translator=translation.provider,
        model=translation.model,
    )

"""The event that tells how a job ended: a function of its record alone, so that told again it is the same."""

from common.events import BlobRef, ErrorInfo, JobCancelled, JobCompleted, JobFailed, Terminal, TranslationOutcome
from common.options import JobOptions
from recorder.job import Job, Outcome

_CLASS: dict[str, type[Terminal]] = {"completed": JobCompleted, "failed": JobFailed, "cancelled": JobCancelled}


def announcement(job: Job) -> Terminal:
    """The terminal event of a job that has ended and was accepted.

    It is made of what no later event changes: once a job has ended, events only move the place it got to, and a
    completed job may get translations that were asked for later, which are not part of it. One thing may come late:
    which bytes were fetched from an address, when the word of it is read behind the job's end.
    """
    if job.created_at is None or job.finished_at is None:
        raise ValueError("only a job that was accepted and has ended is announced")
    transcript = job.transcript_blob
    return _CLASS[job.status](
        job_id=job.id,
        owner=job.owner,
        lane="bulk" if job.lane == "bulk" else "interactive",
        attempt=job.attempt,
        time=job.finished_at,
        created_at=job.created_at,
        source=BlobRef(name=job.source_blob, size=job.size) if job.source_blob else None,
        address=job.address,
        filename=job.filename,
        content_type=job.content_type,
        sha256=job.sha256,
        options=JobOptions.model_validate(job.options) if job.options is not None else None,
        duration=job.duration if transcript else None,
        language=job.language,
        words=job.words,
        segments=job.segments,
        provider=job.provider,
        model=job.model,
        transcript=BlobRef(name=transcript) if transcript else None,
        translations=tuple(_translation(language, job.outcomes.get(language)) for language in _languages(job)),
        error=ErrorInfo(code=job.error_code, message=job.error_message or "") if job.error_code else None,
        reused_from=job.reused_from,
    )


def _languages(job: Job) -> list[str]:
    awaited = list(job.translations or ())
    if job.status == "completed":
        return awaited
    return awaited + sorted(set(job.outcomes) - set(awaited))


def _translation(language: str, outcome: Outcome | None) -> TranslationOutcome:
    if outcome is None:
        return TranslationOutcome(language=language)
    return TranslationOutcome(
        language=language,
        translation=BlobRef(name=outcome.blob) if outcome.blob else None,
        translator=outcome.translator,
        error=ErrorInfo(code=outcome.error_code, message=outcome.error_message or "") if outcome.error_code else None,
    )

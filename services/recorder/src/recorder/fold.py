"""The fold: what a job is after one more event. Pure, so that a rebuild gives what was recorded live.

Stage events give the same job in any order and with any repeats: a place on the way only moves forward, a fact is
taken once, and times are the events' own. Of the facts that end a job the first that is folded stays.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from common.db.storable import storable
from common.events import (
    ErrorInfo,
    Event,
    JobCancelled,
    JobCompleted,
    JobControl,
    JobFailed,
    StageFailed,
    StageProgress,
    Terminal,
    TranscriptCompleted,
    TranslationCompleted,
    TranslationOutcome,
    UploadReceived,
)
from recorder.job import STAGES, WORKING, Job, Outcome

Media = Mapping[str, str | int | float]


def fold(job: Job | None, event: Event) -> Job:
    """The job after an event of it; ``job`` is None before the first.

    Deleting is no state of a job but the end of its record, so it is not folded.
    """
    if job is None:
        job = Job(id=event.job_id, owner=event.owner, lane=event.lane)
    if job.updated_at is None or event.time > job.updated_at:
        job = replace(job, updated_at=event.time)
    if event.attempt > job.attempt and not job.ended:
        job = replace(job, attempt=event.attempt)
    step = _STEPS.get(type(event))
    return job if step is None else _completed(step(job, event))


def _received(job: Job, event: UploadReceived) -> Job:
    if job.plan is not None:
        return job
    if not event.remote:
        job = replace(job, source_blob=event.source.name, size=event.source.size, sha256=event.sha256)
    elif job.sha256 is None:
        job = replace(job, source_blob=event.source.name)
    return replace(
        job,
        created_at=event.time,
        filename=storable(event.filename),
        content_type=storable(event.content_type),
        address=storable(event.address),
        options=event.options.model_dump(mode="json"),
        plan=event.plan.model_dump(mode="json"),
        idempotent=event.idempotent,
    )


def _progressed(job: Job, event: StageProgress) -> Job:
    if event.duration is not None and job.transcript_blob is None:
        job = replace(job, duration=max(event.duration, job.duration or 0.0))
    if event.media is not None:
        job = replace(job, media=_one_of(job.media, event.media))
    if event.source is not None and event.sha256 is not None and job.sha256 is None:
        # What was fetched is settled once and for all before the first word of it, so every word is the same.
        job = replace(job, source_blob=event.source.name, size=event.source.size, sha256=event.sha256)
    return _moved(job, event.stage, event.fraction, storable(event.detail))


def _failed(job: Job, event: StageFailed) -> Job:
    job = _moved(job, event.stage)
    code, message = storable(event.error.code), storable(event.error.message)
    if event.stage == "translator" and event.failed_part:
        outcome = Outcome(
            language=storable(event.failed_part), error_code=code, error_message=message, completed_at=event.time
        )
        return _translated(job, outcome)
    if job.ended:
        return job
    return replace(job, status="failed", finished_at=event.time, error_code=code, error_message=message)


def _transcribed(job: Job, event: TranscriptCompleted) -> Job:
    told_again = job.transcribed_at is not None
    too_late = job.ended and job.transcript_blob != event.transcript.name
    if told_again or too_late:
        return job
    job = replace(
        job,
        transcribed_at=event.time,
        transcript_blob=event.transcript.name,
        translations=tuple(storable(language) for language in event.translations),
        duration=event.duration,
        language=storable(event.language),
        words=event.words,
        segments=event.segments,
        provider=storable(event.provider),
        model=storable(event.model),
        reused_from=event.reused_from,
    )
    return _moved(job, "translator") if event.translations else _moved(job, "transcriber", 1.0)


def _translation(job: Job, event: TranslationCompleted) -> Job:
    outcome = Outcome(
        language=storable(event.language),
        translator=storable(event.translator),
        blob=event.translation.name,
        completed_at=event.time,
    )
    return _translated(_moved(job, "translator"), outcome)


def _translated(job: Job, outcome: Outcome) -> Job:
    known = job.outcomes.get(outcome.language)
    if job.ended:
        announced_so = known is not None and known == replace(outcome, completed_at=None)
        asked_for_later = (
            job.status == "completed" and known is None and outcome.language not in (job.translations or ())
        )
        if not (announced_so or asked_for_later):
            return job
    elif known is not None and (known.blob is not None or outcome.blob is None):
        return job
    return replace(job, outcomes={**job.outcomes, outcome.language: outcome})


def _cancelled(job: Job, event: JobControl) -> Job:
    if event.action != "cancel" or job.ended:
        return job
    return replace(job, status="cancelled", finished_at=event.time)


def _announced(job: Job, event: Terminal) -> Job:
    """What was announced once is so, whatever was concluded from other events meanwhile."""
    if job.announced:
        return job
    transcript, error = event.transcript, event.error
    if event.sha256 is not None or event.address is None or job.sha256 is None:
        source = event.source
        job = replace(
            job,
            source_blob=source.name if source else None,
            size=source.size if source else None,
            sha256=event.sha256,
        )
    job = replace(
        job,
        announced=True,
        attempt=event.attempt,
        status=_STATUS[type(event)],
        created_at=event.created_at,
        finished_at=event.time,
        filename=storable(event.filename),
        content_type=storable(event.content_type),
        address=event.address,
        options=event.options.model_dump(mode="json") if event.options else None,
        duration=event.duration if transcript else job.duration,
        language=event.language,
        words=event.words,
        segments=event.segments,
        provider=event.provider,
        model=event.model,
        transcript_blob=transcript.name if transcript else None,
        transcribed_at=job.transcribed_at if transcript else None,
        translations=tuple(outcome.language for outcome in event.translations) if transcript else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        reused_from=event.reused_from,
        outcomes={
            outcome.language: _outcome(outcome, job.outcomes.get(outcome.language))
            for outcome in event.translations
            if outcome.translation or outcome.error
        },
    )
    return _at_end(job) if job.status == "completed" else job


_STATUS: Mapping[type[Event], str] = {JobCompleted: "completed", JobFailed: "failed", JobCancelled: "cancelled"}

_STEPS: Mapping[type[Event], Callable[[Job, Any], Job]] = {
    UploadReceived: _received,
    StageProgress: _progressed,
    StageFailed: _failed,
    TranscriptCompleted: _transcribed,
    TranslationCompleted: _translation,
    JobControl: _cancelled,
    JobCompleted: _announced,
    JobFailed: _announced,
    JobCancelled: _announced,
}


def _completed(job: Job) -> Job:
    """The job, completed if its transcript is there and every awaited translation is settled."""
    if job.ended or job.transcribed_at is None or job.translations is None:
        return job
    settled = [job.outcomes[language] for language in job.translations if language in job.outcomes]
    if len(settled) < len(job.translations):
        return job
    times = [outcome.completed_at for outcome in settled if outcome.completed_at is not None]
    return _at_end(replace(job, status="completed", finished_at=max([job.transcribed_at, *times])))


def _at_end(job: Job) -> Job:
    return replace(job, stage="translator" if job.translations else "transcriber", fraction=1.0, detail="")


def _moved(job: Job, stage: str, fraction: float = 0.0, detail: str = "") -> Job:
    """The job at the further of two places; a completed one is at its end."""
    if job.status == "completed" or stage not in STAGES:
        return job
    rank = STAGES.index(stage)
    if (rank, fraction, detail) <= (STAGES.index(job.stage), job.fraction, job.detail):
        return job
    status = job.status if job.ended else WORKING[rank]
    return replace(job, status=status, stage=stage, fraction=fraction, detail=detail)


def _outcome(announced: TranslationOutcome, known: Outcome | None) -> Outcome:
    error: ErrorInfo | None = announced.error
    outcome = Outcome(
        language=announced.language,
        translator=announced.translator,
        blob=announced.translation.name if announced.translation else None,
        error_code=error.code if error else None,
        error_message=error.message if error else None,
    )
    same = known is not None and replace(known, completed_at=None) == outcome
    return known if same and known is not None else outcome


def _one_of(known: Media | None, media: Media) -> Media:
    """Of two descriptions the one that says more; of others that differ one, the same whichever came first."""
    clean = {
        storable(name): storable(value) if isinstance(value, str) else value
        for name, value in media.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
    return clean if known is None else max(known, clean, key=lambda one: (len(one), json.dumps(one, sort_keys=True)))

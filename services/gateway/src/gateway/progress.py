"""A job's place on its way, so that what a client sees never goes backwards, and how an event moves it."""

import re
from typing import NamedTuple

from common.events import (
    Event,
    StageFailed,
    StageProgress,
    TranscriptCompleted,
    TranslationCompleted,
)
from gateway.models import ENDED, Job, Status, TranslationState, told_of

_RANK: dict[Status, int] = {
    "queued": 0,
    "transcoding": 1,
    "transcribing": 2,
    "translating": 3,
    "completed": 4,
    "failed": 4,
    "cancelled": 4,
}
_OF_RANK: dict[int, Status] = {0: "queued", 1: "transcoding", 2: "transcribing", 3: "translating"}
_OF_STAGE: dict[str, Status] = {
    "gateway": "queued",
    "transcoder": "transcoding",
    "transcriber": "transcribing",
    "translator": "translating",
}
END_RANK = 4


class Position(NamedTuple):
    """State rank and fraction; the order of positions is the order in which a job goes through them."""

    rank: int
    fraction: float

    def __str__(self) -> str:
        return f"{self.rank}-{self.fraction:.4f}"

    @classmethod
    def of(cls, job: Job) -> "Position":
        """Where a job is."""
        return cls(_RANK[job.status], 1.0 if job.status in ENDED else round(job.fraction, 4))

    @classmethod
    def parse(cls, text: str | None) -> "Position":
        """A position from a ``Last-Event-ID``; the very first when it is none of ours."""
        found = re.fullmatch(r"([0-4])-([01]\.[0-9]{4})", text or "")
        return cls(int(found[1]), float(found[2])) if found else cls(-1, 0.0)


def advance(job: Job, event: Event) -> Job:
    """The job after an event of a stage; unchanged when the event says nothing new.

    Terminal events are not applied: when one comes, the recorded row is read.
    """
    if job.status in ENDED:
        return job
    if isinstance(event, StageProgress) and event.stage in _OF_STAGE:
        moved = job.model_copy(
            update={
                "status": _OF_STAGE[event.stage],
                "stage": event.stage,
                "fraction": event.fraction,
                "detail": event.detail,
                "duration": event.duration or job.duration,
                **(told_of(event.media) if event.media else {}),
                "size": event.source.size if event.source else job.size,
                "sha256": event.sha256 or job.sha256,
                "updated_at": max(event.time, job.updated_at),
            }
        )
        return moved if Position.of(moved) > Position.of(job) else job
    if isinstance(event, TranscriptCompleted):
        return _transcribed(job, event)
    if isinstance(event, TranslationCompleted):
        return _translated(
            job, TranslationState(language=event.language, status="completed", translator=event.translator)
        )
    if isinstance(event, StageFailed) and event.stage == "translator":
        return _translated(job, TranslationState(language=event.failed_part, status="failed", error=event.error))
    return job


def at_least(job: Job, position: Position) -> Job:
    """The job, moved up to a place the client has seen already when the row lags behind it."""
    if Position.of(job) >= position or position.rank not in _OF_RANK:
        return job
    return job.model_copy(update={"status": _OF_RANK[position.rank], "fraction": position.fraction})


def _transcribed(job: Job, event: TranscriptCompleted) -> Job:
    status: Status = "translating" if event.translations else "transcribing"
    moved = job.model_copy(
        update={
            "status": status,
            "stage": "translator" if event.translations else "transcriber",
            "fraction": 0.0 if event.translations else 1.0,
            "detail": "",
            "language": event.language,
            "duration": event.duration,
            "words": event.words,
            "segments": event.segments,
            "provider": event.provider,
            "model": event.model,
            "reused_from": event.reused_from,
            "updated_at": max(event.time, job.updated_at),
        }
    )
    return moved if Position.of(moved) > Position.of(job) else job


def _translated(job: Job, state: TranslationState) -> Job:
    return job.model_copy(
        update={"translations": tuple(state if t.language == state.language else t for t in job.translations)}
    )

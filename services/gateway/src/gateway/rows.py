"""Jobs made of the rows that the recorder recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from common.events import ErrorInfo
from common.options import JobOptions
from gateway.models import Job, Links, TranslationState, told_of

_KEPT = 1000


@dataclass(frozen=True)
class JobRow:
    """A job and where its results are stored: the transcript, and each translation by its language."""

    job: Job
    transcript: str | None
    translations: dict[str, str]

    @cached_property
    def shown(self) -> bytes:
        """The job as JSON, as its owner sees it."""
        return self.job.model_dump_json().encode()


class Rows:
    """Makes jobs of rows that were read, and gives the one it made before where a row is as it was.

    Who waits for a job asks for it again and again, and mostly finds it unchanged: comparing its row with the last one
    costs a twentieth of making and writing the job anew. Nothing is answered from here that was not just read for its
    owner, who is a column of the row. A job with translations is made anew, for they have rows of their own.

    Parameters
    ----------
    most
        Jobs kept; the first kept is dropped first.
    """

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._last: dict[UUID, tuple[Any, JobRow]] = {}

    def read(self, row: Any, translations: Sequence[Any]) -> JobRow:
        """The job of a row of ``jobs`` that was just read, and its rows of ``translations``."""
        last = self._last.get(row["id"])
        if last is not None and last[0] == row:
            return last[1]
        made = job_row(row, translations)
        if not made.job.translations:
            self._last[row["id"]] = row, made
            if len(self._last) > self._most:
                del self._last[next(iter(self._last))]
        return made

    def forget(self, job: UUID) -> None:
        """Keep nothing of a job; harmless when nothing is kept."""
        self._last.pop(job, None)


def job_row(row: Any, translations: Sequence[Any]) -> JobRow:
    """The job of a row of ``jobs`` and its rows of ``translations``."""
    options = JobOptions.model_validate(row["options"] or {})
    done = {t["language"]: t for t in translations}
    return JobRow(
        job=Job(
            **{name: row[name] for name in _SAME},
            url=row["address"],
            status=row["status"] or "queued",
            fraction=row["fraction"] or 0.0,
            detail=row["detail"] or "",
            options=options,
            priority=row["lane"],
            error=_error(row),
            translations=tuple(_translation(language, done.get(language)) for language in options.translate),
            links=Links.of(row["id"], options),
            **told_of(row["media"]),
        ),
        transcript=row["transcript_blob"],
        translations={language: t["blob"] for language, t in done.items() if t["blob"] is not None},
    )


_SAME = (
    *("id", "stage", "filename", "size", "sha256", "content_type", "language", "duration", "words"),
    *("segments", "provider", "model", "reused_from", "created_at", "updated_at", "finished_at"),
)
"""Columns that are the job's fields by the same name."""


def _translation(language: str, row: Any | None) -> TranslationState:
    if row is None:
        return TranslationState(language=language)
    error = _error(row)
    status = "failed" if error else "completed" if row["blob"] else "pending"
    return TranslationState(language=language, status=status, translator=row["translator"], error=error)


def _error(row: Any) -> ErrorInfo | None:
    return ErrorInfo(code=row["error_code"], message=row["error_message"] or "") if row["error_code"] else None

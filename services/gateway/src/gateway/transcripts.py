"""GET /v1/jobs/{id}/transcript: results in the form and language asked for."""

import asyncio

from aiohttp import web

from common.blobs import BlobNotFound, Blobs, read_all
from common.formats import FORMATS, render
from common.spoken_part import read_spoken
from common.transcript import Transcript, Translation
from gateway.filenames import attachment
from gateway.lookup import Jobs
from gateway.models import ENDED, Job, TranscriptQuery
from gateway.problems import JOB_FAILED, NOT_FOUND, NOT_READY, Problem
from gateway.routing import query_of
from gateway.rows import JobRow


class Transcripts:
    """Reads a stored transcript or translation and renders it."""

    def __init__(self, *, jobs: Jobs, blobs: Blobs) -> None:
        self._jobs = jobs
        self._blobs = blobs

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer with the file, or 409 while there is none."""
        query = query_of(request, TranscriptQuery)
        row = await self._jobs.find(request)
        language = _translated_language(row.job, query.language)
        name = _blob(row, language)
        headers = {
            "Content-Type": FORMATS[query.format],
            "Content-Disposition": attachment(row.job.filename, language, query.format, otherwise="transcript"),
        }
        if query.format == "json":  # which is how it is stored
            found = await self._blobs.stat(name)
            if found is None:
                raise _erased()
            return web.Response(body=self._blobs.read(name), headers={**headers, "Content-Length": str(found.size)})
        try:
            # Plain text is made without the words, which are by far the most of a transcript.
            raw = await (read_spoken if query.format == "txt" else read_all)(self._blobs, name)
        except BlobNotFound:
            raise _erased() from None
        # Rendering hours of speech takes a while; other requests go on meanwhile.
        body = await asyncio.to_thread(_rendered, raw, query, translated=language is not None)
        return web.Response(body=body, headers=headers)


def _erased() -> Problem:
    return Problem(NOT_FOUND, "The result of this job was erased.")


def _translated_language(job: Job, asked: str | None) -> str | None:
    """Which translation is asked for; None for the transcript itself."""
    if asked is None or asked.lower() in {(job.language or "").lower(), job.options.language.lower()}:
        return None
    for state in job.translations:
        if state.language.lower() == asked.lower():
            return state.language
    raise Problem(NOT_FOUND, f"No translation into '{asked}' was requested with this job.")


def _blob(row: JobRow, language: str | None) -> str:
    found = row.transcript if language is None else row.translations.get(language)
    if found is not None:
        return found
    job = row.job
    error = next((t.error for t in job.translations if t.language == language), None) or job.error
    if error is not None:
        raise Problem(JOB_FAILED, error.message, job_status=job.status, error=error.model_dump())
    if job.status in ENDED:
        raise Problem(JOB_FAILED, f"The job is {job.status}; it has no such result.", job_status=job.status)
    raise Problem(NOT_READY, f"The job is {job.status}; ask again later.", job_status=job.status)


def _rendered(raw: bytes, query: TranscriptQuery, *, translated: bool) -> bytes:
    model = Translation if translated else Transcript
    return render(model.model_validate_json(raw), query.format, speakers=query.speakers).encode()

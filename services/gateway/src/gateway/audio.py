"""GET /v1/jobs/{id}/audio: the audio that a job asked to have stored beside its original."""

from aiohttp import web

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import Blobs
from gateway.filenames import attachment
from gateway.lookup import Jobs
from gateway.models import ENDED, Job
from gateway.principal import owner_of
from gateway.problems import JOB_FAILED, NOT_FOUND, NOT_READY, Problem


class Audio:
    """Gives a job's stored audio to its owner."""

    def __init__(self, *, jobs: Jobs, blobs: Blobs) -> None:
        self._jobs = jobs
        self._blobs = blobs

    async def __call__(self, request: web.Request) -> web.Response:
        """Answer with the file; 409 while there is none, 404 where none was asked for."""
        job = (await self._jobs.find(request)).job
        if job.options.audio_format is None:
            raise Problem(
                NOT_FOUND,
                "No audio was asked for with this job. Send the recording again with audio_format "
                f"({', '.join(AUDIO_FORMATS)}).",
            )
        form = AUDIO_FORMATS[job.options.audio_format]
        name = layout.stored_audio(owner_of(request), job.id, form.ending)
        found = await self._blobs.stat(name)
        if found is None:
            raise _missing(job)
        headers = {
            "Content-Type": form.media_type,
            "Content-Length": str(found.size),
            "Content-Disposition": attachment(job.filename, form.ending, otherwise="audio"),
        }
        return web.Response(body=self._blobs.read(name), headers=headers)


def _missing(job: Job) -> Problem:
    if job.error is not None:
        return Problem(JOB_FAILED, job.error.message, job_status=job.status, error=job.error.model_dump())
    if job.status == "completed":
        return Problem(NOT_FOUND, "The audio of this job was erased.")
    if job.status in ENDED:
        return Problem(JOB_FAILED, f"The job is {job.status}; it has no audio.", job_status=job.status)
    return Problem(NOT_READY, f"The job is {job.status}; ask again later.", job_status=job.status)

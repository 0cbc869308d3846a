"""What the gateway answers for a job's stored audio, and what it shows of it in the job."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from common import layout
from common.events import ErrorInfo
from common.options import JobOptions
from common.stored_audio import Facts, StoredAudio
from common.testing.blobs import MemoryBlobs
from gateway.audio import Audio
from gateway.headers import secure
from gateway.lookup import Jobs
from gateway.models import Job, Links, Status, told_of
from gateway.principal import PRINCIPAL, SCOPES, Principal
from gateway.problems import Handler, answer_problems
from gateway.rows import JobRow

OWNER = "ann"
JOB = uuid4()
STORED = StoredAudio(format="mp3", codec="mp3", channels=2, sample_rate=44_100, seconds=61.5, size=5)


class Only(Jobs):
    """The one job there is."""

    def __init__(self, job: Job) -> None:
        self._job = job

    async def find(self, request: web.Request) -> JobRow:
        """It."""
        return JobRow(job=self._job, transcript=None, translations={})


def a_job(status: Status, audio_format: str | None, *, error: ErrorInfo | None = None) -> Job:
    at, options = datetime(2026, 1, 2, tzinfo=UTC), JobOptions(audio_format=audio_format)
    return Job(
        id=JOB,
        status=status,
        filename="Gespräch: eins.m4a",
        options=options,
        created_at=at,
        updated_at=at,
        error=error,
        links=Links.of(JOB, options),
    )


async def answer(job: Job, blobs: MemoryBlobs) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what `GET /v1/jobs/{id}/audio` answers."""

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[PRINCIPAL] = Principal(owner=OWNER, via="key", scopes=SCOPES)
        return await handler(request)

    async def finish(_request: web.Request, response: web.StreamResponse) -> None:
        secure(response)

    audio = Audio(jobs=Only(job), blobs=blobs)

    async def get(request: web.Request) -> web.Response:
        return await audio(request)

    app = web.Application(middlewares=[answer_problems, known])
    app.on_response_prepare.append(finish)
    app.router.add_get("/v1/jobs/{id}/audio", get)
    async with TestClient(TestServer(app)) as client, client.get(f"/v1/jobs/{JOB}/audio") as response:
        return response.status, dict(response.headers), await response.read()


@pytest.mark.parametrize(
    ("name", "ending", "kind"),
    [("mp3", "mp3", "audio/mpeg"), ("opus", "opus", "audio/ogg; codecs=opus"), ("wav", "wav", "audio/wav")],
)
async def test_the_file_is_sent_as_what_it_is(name: str, ending: str, kind: str) -> None:
    blobs = MemoryBlobs()
    await blobs.write(layout.stored_audio(OWNER, JOB, ending), b"sound")
    status, headers, body = await answer(a_job("completed", name), blobs)
    assert (status, body, headers["Content-Type"], headers["Content-Length"]) == (200, b"sound", kind, "5")
    assert headers["Content-Disposition"].startswith(f'attachment; filename="Gespr_ch_ eins.{ending}"')
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("job", "status", "says"),
    [
        (a_job("completed", None), 404, "Send the recording again with audio_format (wav, mp3, ogg, opus, flac)"),
        (a_job("completed", "mp3"), 404, "was erased"),
        (a_job("transcoding", "mp3"), 409, "The job is transcoding; ask again later"),
        (a_job("cancelled", "mp3"), 409, "The job is cancelled"),
        (a_job("failed", "mp3", error=ErrorInfo(code="no_audio", message="No track.")), 409, "No track."),
    ],
    ids=["none asked for", "erased", "not yet", "cancelled", "failed"],
)
async def test_without_a_file_it_says_why_and_what_to_do(job: Job, status: int, says: str) -> None:
    answered, headers, body = await answer(job, MemoryBlobs())
    assert (answered, headers["Content-Type"]) == (status, "application/problem+json")
    assert says in body.decode()


def test_a_job_shows_the_recording_and_its_stored_audio_apart() -> None:
    recording: Facts = {"codec": "aac", "channels": 2, "sample_rate": 44_100}
    shown = told_of({**recording, **STORED.facts()})
    assert shown["media"] == recording
    assert shown["audio"] is not None
    assert shown["audio"].model_dump() == {
        "format": "mp3",
        "codec": "mp3",
        "channels": 2,
        "sample_rate": 44_100,
        "duration": 61.5,
        "size": 5,
    }
    assert told_of(recording) == {"media": recording, "audio": None}


@pytest.mark.parametrize(
    ("audio_format", "link"), [("flac", f"/v1/jobs/{JOB}/audio"), (None, None)], ids=["asked for", "not asked for"]
)
def test_a_job_links_to_the_audio_it_asked_for(audio_format: str | None, link: str | None) -> None:
    assert Links.of(JOB, JobOptions(audio_format=audio_format)).audio == link

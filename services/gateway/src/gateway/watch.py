"""GET /v1/jobs/{id}/events: a job's way as server-sent events."""

from uuid import UUID

from aiohttp import web

from common.events import JobControl, Terminal
from gateway.database import StoreUnavailable
from gateway.live import Listener, Live
from gateway.lookup import Jobs, path_id
from gateway.models import ENDED, Job
from gateway.problems import Problem
from gateway.progress import END_RANK, Position, advance, at_least
from gateway.settings import GatewaySettings

HEARTBEAT = b": heartbeat\n\n"


class Watch:
    """Streams a job's states: the recorded one first, then live, never backwards, until the job has ended."""

    def __init__(self, *, jobs: Jobs, live: Live, settings: GatewaySettings) -> None:
        self._jobs = jobs
        self._live = live
        self._settings = settings

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 with the stream, or 204 when the client has seen the end."""
        seen = Position.parse(request.headers.get("Last-Event-ID"))
        # Listening begins before the row is read, so that nothing falls between the two.
        with self._live.listen(path_id(request)) as listener:
            job = (await self._jobs.find(request)).job
            if job.status in ENDED and seen.rank == END_RANK:
                return web.Response(status=204)
            stream = _stream()
            await stream.prepare(request)
            try:
                await self._follow(request, stream, listener, at_least(job, seen), seen)
            except ConnectionError:
                pass  # The client went away; there is nobody to tell.
            return stream

    async def _follow(
        self, request: web.Request, stream: web.StreamResponse, listener: Listener, job: Job, seen: Position
    ) -> None:
        # Who comes back has the state it saw last; a comment says that the stream is open.
        await stream.write(HEARTBEAT if Position.of(job) == seen else _message(job))
        while job.status not in ENDED and not self._live.closed:
            events = await listener.take(self._settings.heartbeat_seconds)
            # Either reader of the log may be the first to know.
            deletes = any(isinstance(event, JobControl) and event.action == "delete" for event in events)
            if deletes or self._jobs.deleted(job.id):
                await stream.write(_deleted(job.id))
                return
            if not events:
                await stream.write(HEARTBEAT)
            before = job
            for event in events:
                job = advance(job, event)
            if not events or any(isinstance(event, Terminal) for event in events):
                # A terminal event is announced after it is recorded, so the row has the whole outcome. A silent
                # stretch is a reason to look as well: an event may have gone by while Kafka was away.
                job = await self._recorded(request, job)
            if job != before:
                await stream.write(_message(job))

    async def _recorded(self, request: web.Request, job: Job) -> Job:
        try:
            recorded = (await self._jobs.find(request)).job
        except (Problem, StoreUnavailable):
            return job
        return recorded if Position.of(recorded) > Position.of(job) else job


def _stream() -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})


def _message(job: Job) -> bytes:
    name = job.status if job.status in ENDED else "progress"
    return f"event: {name}\nid: {Position.of(job)}\ndata: {job.model_dump_json()}\n\n".encode()


def _deleted(job: UUID) -> bytes:
    return f'event: deleted\nid: {Position(END_RANK, 1.0)}\ndata: {{"id": "{job}", "status": "deleted"}}\n\n'.encode()

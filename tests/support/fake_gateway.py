"""A gateway on loopback that speaks the wire contract strictly and fails when told to; for tests of the client alone.

What the real gateway does is shown by its own tests. This one shows what is hard to make the real one do: end a token
at a given moment, cut a connection in the middle of an upload, forget one, answer 429.
"""

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import uuid4

from aiohttp import web
from pydantic import ValidationError

from common.options import JobOptions
from gateway.fields import job_options
from gateway.problems import JOB_DELETED, NOT_FOUND, UNAUTHORIZED, Problem
from support.fake_people import People
from support.fake_uploads import Uploads
from support.thread_loop import ThreadLoop

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Scripted:
    """An answer given instead of the usual one; ``drop`` closes the connection without any."""

    status: int = 200
    document: Mapping[str, Any] | str = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


def problem(status: int, detail: str, **more: Any) -> web.Response:
    """A problem document."""
    headers = more.pop("headers", None)
    document = {"type": "urn:scribewire:problem:test", "title": detail, "status": status, "detail": detail, **more}
    return web.Response(
        status=status, text=json.dumps(document), content_type="application/problem+json", headers=headers
    )


class FakeGateway:
    """Its state is open to the test; use `serving`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        self.scripts: dict[tuple[str, str], deque[Scripted]] = defaultdict(deque)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, tuple[str, str]] = {}
        self.deleted: set[str] = set()
        self.dropped: list[str] = []
        """Names in the drop area, for batches of a prefix."""
        self.fails: set[bytes] = set()
        """Content whose jobs fail."""
        self.people = People()
        self.uploads = Uploads(self._uploaded)

    def count(self, method: str, path: str) -> int:
        """How many requests of a method came to a path, or to one that begins with it where it ends in ``*``."""
        return sum(
            m == method and (p == path or (path.endswith("*") and p.startswith(path[:-1]))) for m, p, _ in self.requests
        )

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._middle], client_max_size=1 << 30)
        app.add_routes(
            [
                *self.people.routes(),
                *self.uploads.routes(),
                web.post("/v1/jobs", self._submit),
                web.get("/v1/jobs", self._list),
                web.get("/v1/jobs/{id}", self._job),
                web.post("/v1/jobs/{id}/cancel", self._job),
                web.delete("/v1/jobs/{id}", self._delete),
                web.get("/v1/jobs/{id}/events", self._events),
                web.get("/v1/jobs/{id}/transcript", self._transcript),
                web.get("/v1/jobs/{id}/audio", self._audio),
                web.post("/v1/batches", self._batch),
                web.get("/v1/batches/{id}", self._show_batch),
                web.get("/v1/batches/{id}/items", self._items),
                web.post("/v1/batches/{id}/retry", self._retry),
                web.post("/v1/batches/{id}/cancel", self._show_batch),
            ]
        )
        return app

    @web.middleware
    async def _middle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path, dict(request.headers)))
        if script := self.scripts[request.method, request.path]:
            scripted = script.popleft()
            await request.read()
            if scripted.drop:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            if isinstance(scripted.document, str):
                return web.Response(text=scripted.document, status=scripted.status, headers=scripted.headers)
            return web.json_response(scripted.document, status=scripted.status, headers=scripted.headers)
        is_open = request.path.startswith("/auth/") and request.path != "/auth/logout"
        if not is_open and not self.people.lets_in(request.headers.get("Authorization", "")):
            return Problem(UNAUTHORIZED, "Send a valid key as 'Authorization: Bearer KEY'.").response()
        try:
            return await handler(request)
        except Problem as error:
            return error.response()
        except ConnectionError:
            # The client went away, as it does where a test cuts it off.
            return web.Response()

    def _job_of(self, request: web.Request) -> dict[str, Any]:
        try:
            return self.jobs[request.match_info["id"]]
        except KeyError:
            raise Problem(NOT_FOUND, "There is no job with this id.") from None

    def _uploaded(self, content: bytes, filename: str | None, options: JobOptions) -> str:
        failed = content in self.fails
        job: dict[str, Any] = {
            "id": str(uuid4()),
            "status": "failed" if failed else "completed",
            "fraction": 1.0,
            "filename": filename,
            "size": len(content),
            "sha256": sha256(content).hexdigest(),
            "options": options.model_dump(mode="json", exclude_unset=True),
            "created_at": "2026-11-21T10:00:00Z",
            "error": {"code": "not_media", "message": "The file is not audio."} if failed else None,
            "translations": [],
        }
        self.jobs[job["id"]] = job
        self.bodies[job["id"]] = content
        return str(job["id"])

    async def _submit(self, request: web.Request) -> web.Response:
        content, filename = await request.read(), request.headers.get("X-Filename")
        if request.content_type == "application/json":
            document = json.loads(content)
            if not set(document) <= {"url", "options"} or not document["url"].startswith("http"):
                return problem(422, "Not valid: url.", errors=[{"field": "url", "message": "is no address"}])
            try:
                options = JobOptions(**document.get("options", {}))
            except ValidationError as error:
                return problem(422, str(error))
            filename = document["url"]
        else:
            options = job_options(request.query.items())
            if not content:
                return problem(422, "The file is empty.")
        key, asked = request.headers.get("Idempotency-Key"), sha256(content + repr(options).encode()).hexdigest()
        if key in self.claims:
            job_id, first = self.claims[key]
            if job_id in self.deleted:
                raise Problem(JOB_DELETED, "The job of this Idempotency-Key was deleted; use a new key.")
            if first != asked:
                return problem(422, "The first request with this Idempotency-Key had another file.")
            return web.json_response(self.jobs[job_id], status=202)
        job_id = self._uploaded(content, filename, options)
        if key is not None:
            self.claims[key] = job_id, asked
        return web.json_response(self.jobs[job_id] | {"status": "queued"}, status=202)

    async def _list(self, request: web.Request) -> web.Response:
        if not set(request.query) <= {"limit", "cursor", "status"}:
            return problem(422, "Not valid.")
        limit, start = int(request.query.get("limit", 50)), int(request.query.get("cursor", 0))
        found = list(reversed(self.jobs.values()))
        more = str(start + limit) if len(found) > start + limit else None
        return web.json_response({"jobs": found[start : start + limit], "next_cursor": more, "counts": {}})

    async def _job(self, request: web.Request) -> web.Response:
        return web.json_response(self._job_of(request))

    async def _delete(self, request: web.Request) -> web.Response:
        job_id = str(self._job_of(request)["id"])
        self.deleted.add(job_id)
        del self.jobs[job_id], self.bodies[job_id]
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        job = self._job_of(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, state in ((1, job | {"status": "transcribing", "fraction": 0.5}), (2, job)):
            await response.write(f"id: {number}\nevent: job\ndata: {json.dumps(state)}\n\n".encode())
        return response

    async def _transcript(self, request: web.Request) -> web.Response:
        job, form = self._job_of(request), request.query.get("format", "json")
        return web.Response(text=f"{form} of {job['sha256'][:8]}\n")

    async def _audio(self, request: web.Request) -> web.Response:
        job = self._job_of(request)
        if "audio_format" not in job["options"]:
            return problem(404, "No audio was asked for with this job.")
        return web.Response(body=job["options"]["audio_format"].encode() + b" of " + self.bodies[job["id"]])

    async def _batch(self, request: web.Request) -> web.Response:
        content = await request.read()
        if request.content_type == "application/json":
            below = json.loads(content)["prefix"]
            content = "\n".join(name for name in self.dropped if name.startswith(below)).encode()
        elif request.content_type not in {"application/x-ndjson", "text/csv"}:
            return problem(415, "Send the manifest as application/x-ndjson or text/csv.")
        key = request.headers["Idempotency-Key"]
        if key in self.claims:
            return web.json_response(self._accepted(self.claims[key][0]), status=202)
        lines = [line for line in content.decode().splitlines() if line][request.content_type == "text/csv" :]
        items = [
            {"line": n, "status": _state(line), "reference": f"r{n}", "job_id": None, "error": _error(line)}
            for n, line in enumerate(lines, 1)
        ]
        if request.query.get("strict") == "true" and any(item["status"] == "bad" for item in items):
            bad = [{"field": "line 1", "message": "is no item"}]
            return problem(422, "The manifest has bad lines.", errors=bad)
        batch_id, options = str(uuid4()), dict(request.query)
        self.batches[batch_id] = {"items": items, "content": content, "options": options, "looks": 0}
        self.claims[key] = batch_id, ""
        return web.json_response(self._accepted(batch_id), status=202)

    def _accepted(self, batch_id: str) -> dict[str, Any]:
        return {"id": batch_id, "status": "running", "total": len(self.batches[batch_id]["items"])}

    async def _show_batch(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return problem(404, "There is no batch with this id.")
        batch = self.batches[batch_id]
        batch["looks"] += 1
        states = [item["status"] for item in batch["items"]]
        counts = {state: states.count(state) for state in ("completed", "failed", "cancelled", "bad")}
        status = "completed" if batch["looks"] > 1 else "running"
        rest = {"queued": 0, "running": 0, "eta_seconds": None, "created_at": "2026-11-21T10:00:00Z"}
        return web.json_response({**self._accepted(batch_id), **counts, **rest, "status": status})

    async def _items(self, request: web.Request) -> web.Response:
        items, wanted = self.batches[request.match_info["id"]]["items"], request.query.get("status")
        found = [item for item in items if wanted in (None, item["status"])]
        # Small pages, whatever limit was asked for: a client that reads only the first is found out.
        start = int(request.query.get("cursor", 0))
        more = str(start + 2) if len(found) > start + 2 else None
        return web.json_response({"items": found[start : start + 2], "next_cursor": more})

    async def _retry(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        for item in batch["items"]:
            if item["status"] == "failed":
                item |= {"status": "completed", "error": None}
        return await self._show_batch(request)


def _state(line: str) -> str:
    if line.startswith("{") and not line.endswith("}"):
        return "bad"
    return "failed" if "broken" in line else "completed"


def _error(line: str) -> dict[str, str] | None:
    return {"code": "not_media", "message": "The file is not audio."} if "broken" in line else None


@contextmanager
def serving(fake: FakeGateway | None = None) -> Iterator[FakeGateway]:
    """A fake gateway on a free loopback port, in a thread of its own."""
    fake = fake or FakeGateway()
    loop = ThreadLoop()
    runner = web.AppRunner(fake.app(), shutdown_timeout=0.5)

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    fake.url = loop.run(start())
    try:
        yield fake
    finally:
        loop.run(runner.cleanup())
        loop.close()

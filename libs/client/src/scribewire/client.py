"""The Python client: submit media, follow jobs, fetch transcripts."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from scribewire.config import Gateway, discover
from scribewire.errors import Problem, Unreachable
from scribewire.sse import ServerEvent, parse

Job = Mapping[str, Any]
"""A job as the gateway shows it: ``id``, ``status``, ``fraction``, ``error`` and more, see the OpenAPI document."""

TERMINAL = frozenset({"completed", "failed", "cancelled", "deleted"})
"""Where a job stays; ``deleted`` is only ever seen by who follows a job while somebody erases it."""

CHUNK = 1 << 20
_PAUSE = 0.5


class Client:
    """A connection to one gateway; use it as a context manager.

    Parameters
    ----------
    gateway
        Address and key; by default what `scribewire.config.discover` finds.
    patience
        Seconds for which a gateway that went away, or answers 503 or 429, is asked again. One that was never reached
        is given up at once: it does not run, or its address is wrong.
    """

    def __init__(self, gateway: Gateway | None = None, *, patience: float = 60.0) -> None:
        self._gateway = gateway or discover()
        self._patience = patience
        self._reached = False
        self._http = httpx.Client(
            base_url=self._gateway.url,
            headers={"Authorization": f"Bearer {self._gateway.key}"},
            timeout=httpx.Timeout(60.0, connect=5.0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def submit(
        self,
        file: Path,
        options: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        sent: Callable[[int], None] = lambda _: None,
    ) -> Job:
        """Upload a file as a new job; repeating after a failure is safe because of the key.

        Parameters
        ----------
        options
            Names and values of `JobOptions`; a list is sent as a repeated parameter.
        idempotency_key
            The same key and body give the same job; by default a fresh one for this call.
        sent
            Called with the number of bytes sent so far.

        Raises
        ------
        Problem
            When the gateway refuses; `Unreachable` when it does not answer.
        """
        headers = {
            "X-Filename": quote(file.name, errors="replace"),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.stat().st_size),
            "Idempotency-Key": idempotency_key or str(uuid4()),
        }

        def body() -> Iterator[bytes]:
            done = 0
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    yield chunk
                    done += len(chunk)
                    sent(done)

        return self._json("POST", "/v1/jobs", params=dict(options or {}), headers=headers, body=body)

    def submit_url(
        self, url: str, options: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Job:
        """Have the file at an address fetched as a new job; like `submit` otherwise."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        return self._json("POST", "/v1/jobs", headers=headers, document={"url": url, "options": dict(options or {})})

    def job(self, job_id: str) -> Job:
        """Show a job."""
        return self._json("GET", f"/v1/jobs/{job_id}")

    def jobs(self, *, limit: int = 20, status: str | None = None) -> Job:
        """One page of jobs, newest first, as the gateway gives it."""
        return self._json("GET", "/v1/jobs", params={"limit": limit} | ({"status": status} if status else {}))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; its record stays."""
        return self._json("POST", f"/v1/jobs/{job_id}/cancel")

    def delete(self, job_id: str) -> None:
        """Cancel a job and erase everything of it."""
        self._send("DELETE", f"/v1/jobs/{job_id}")

    def add_webhook(self, url: str, events: Sequence[str] | None = None) -> Job:
        """Register an address for terminal events; the answer's ``secret`` verifies them and is shown once."""
        return self._json("POST", "/v1/webhooks", document={"url": url} | ({"events": list(events)} if events else {}))

    def transcript(self, job_id: str, *, format: str = "json", language: str | None = None) -> bytes:  # noqa: A002
        """A finished job's transcript, or its translation into a language, as json, txt, srt or vtt."""
        params = {"format": format} | ({"language": language} if language else {})
        return self._send("GET", f"/v1/jobs/{job_id}/transcript", params=params).content

    def follow(self, job_id: str) -> Iterator[Job]:
        """Yield a job's state as it changes, the last one terminal; a dropped connection is taken up again.

        Raises
        ------
        Problem
            When there is no such job; `Unreachable` when the gateway stays away for longer than ``patience``.
        """
        last_id: str = ""
        lost_since: float | None = None
        while True:
            try:
                for event in self._events(job_id, last_id):
                    lost_since = None
                    if event is None:
                        continue
                    last_id = event.id
                    job: Job = json.loads(event.data)
                    yield job
                    if job["status"] in TERMINAL:
                        return
            except (httpx.TransportError, Unreachable) as error:
                lost_since = lost_since or time.monotonic()
                if time.monotonic() > lost_since + self._patience:
                    raise Unreachable(f"lost the gateway at {self._gateway.url}") from error
            time.sleep(_PAUSE)  # A gateway that stops ends its streams before it closes its door.

    def _events(self, job_id: str, last_id: str) -> Iterator[ServerEvent | None]:
        """The stream's events; first None, once the gateway has answered."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
            if response.status_code >= 500:
                raise Unreachable(f"the gateway answered {response.status_code}")
            if response.is_error:
                response.read()
                raise _problem(response)
            yield None
            yield from parse(response.iter_lines())

    def _json(self, method: str, path: str, **request: Any) -> Job:
        answer: Job = self._send(method, path, **request).json()
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Send until answered for good: 429, 503 and a gateway that went away are tried again while patience lasts."""
        deadline, pause = time.monotonic() + self._patience, _PAUSE
        while True:
            try:
                content = body() if body else None
                response = self._http.request(
                    method, path, params=params, headers=headers, content=content, json=document
                )
                self._reached = True
                if not response.is_error:
                    return response
                problem = _problem(response)
                if problem.status not in {429, 503} or time.monotonic() > deadline:
                    raise problem
                wait = problem.retry_after or pause
            except httpx.TransportError as error:
                never_there = isinstance(error, httpx.ConnectError) and not self._reached
                if never_there or time.monotonic() > deadline:
                    raise Unreachable(f"no gateway answers at {self._gateway.url}") from error
                wait = pause
            time.sleep(min(wait, max(0.0, deadline - time.monotonic()) + 0.1))
            pause = min(pause * 2, 10.0)


def _problem(response: httpx.Response) -> Problem:
    try:
        document = response.json()
    except ValueError:
        document = {"title": f"the gateway answered {response.status_code}"}
    retry = response.headers.get("Retry-After", "")
    return Problem(response.status_code, document, float(retry) if retry.isdigit() else None)

"""Following a job: what to ask its event stream for, what its lines mean, and what a broken one is."""

import json
import time
from urllib.parse import quote

import httpx

from scribewire.errors import Problem, Unreachable
from scribewire.flow import Request
from scribewire.models import TERMINAL, Job
from scribewire.sse import Reader

PAUSE = 0.5
"""Seconds before a stream is taken up again: a gateway that stops ends its streams before it closes its door."""


class Following:
    """One job's stream, over as many connections as it takes."""

    def __init__(self, job_id: str, *, url: str, patience: float) -> None:
        self._path = f"/v1/jobs/{quote(job_id, safe='')}/events"
        self._url = url
        self._patience = patience
        self._reader = Reader()
        self._last_id = ""
        self._lost_since: float | None = None
        self._renewed = False
        self.ended = False

    def request(self) -> Request:
        """What to stream next."""
        resume = {"Last-Event-ID": self._last_id} if self._last_id else {}
        return Request(method="GET", path=self._path, headers={"Accept": "text/event-stream", **resume})

    def refused(self, response: httpx.Response) -> bool:
        """Whether an answer, its body read where it is an error, opens no stream; True when its login is renewed first.

        Raises
        ------
        Problem
            When there is no such job, or no access; `Unreachable` when the gateway is away for now.
        """
        self._reader = Reader()
        if response.status_code >= 500 or response.status_code == 429:
            raise Unreachable(f"the gateway answered {response.status_code}")
        if response.status_code == 401 and not self._renewed:
            self._renewed = True
            return True
        if response.is_error:
            raise Problem.of(response)
        self._renewed = False
        return False

    def line(self, line: str) -> Job | None:
        """The job's new state, when a line completes one."""
        event = self._reader.feed(line)
        if event is None:
            return None
        self._lost_since = None
        self._last_id = event.id
        job: Job = json.loads(event.data)
        self.ended = job["status"] in TERMINAL
        return job

    def lost(self, error: Exception) -> None:
        """The connection broke; raises `Unreachable` once that lasts for longer than there is patience."""
        self._lost_since = self._lost_since or time.monotonic()
        if time.monotonic() > self._lost_since + self._patience:
            raise Unreachable(f"lost the gateway at {self._url}") from error

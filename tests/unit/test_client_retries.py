"""What the client does about a gateway that goes away: a server that stops, starts and cuts its streams off."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire.errors import Problem, Unreachable
from scribewire_local.ports import HOST, free_port

STREAMS = {
    "": [("1-0.5000", {"status": "transcoding"})],
    "1-0.5000": [("2-0.5000", {"status": "transcribing"})],
    "2-0.5000": [("4-1.0000", {"status": "completed"})],
}
"""What an event stream holds before it breaks off, by the id the client comes back with."""


class Going(BaseHTTPRequestHandler):
    """Answers as the gateway does; the first request to `/v1/jobs/busy` gets a 503."""

    busy = 0

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            self._events(STREAMS[self.headers.get("Last-Event-ID", "")])
        elif self.path.endswith("/busy") and not Going.busy:
            Going.busy += 1
            self._answer(503, {"detail": "The log is away."}, {"Retry-After": "0"})
        elif self.path.endswith("/missing"):
            self._answer(404, {"detail": "There is no job with this id."})
        else:
            self._answer(200, {"id": "a"})

    def _answer(self, status: int, document: dict[str, str], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _events(self, events: list[tuple[str, dict[str, str]]]) -> None:
        self.send_response(200)
        self.end_headers()
        for number, job in events:
            self.wfile.write(f"event: progress\nid: {number}\ndata: {json.dumps(job)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer((HOST, port), Going)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with Client(Gateway(f"http://{HOST}:{port}", "k"), patience=20) as client:
        yield client


def test_one_that_was_never_there_is_given_up_at_once(client: Client) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable):
        client.job("a")
    assert time.monotonic() - began < 5


def test_one_that_is_busy_or_comes_back_is_asked_again(client: Client, port: int) -> None:
    with serving(port):
        assert client.job("busy") == {"id": "a"}
    again = threading.Event()

    def come_back() -> None:
        time.sleep(0.3)
        with serving(port):
            again.wait(20)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        assert client.job("a") == {"id": "a"}
    finally:
        again.set()
        thread.join()


def test_a_refusal_is_final(client: Client, port: int) -> None:
    with serving(port), pytest.raises(Problem, match="There is no job") as refused:
        client.job("missing")
    assert refused.value.status == 404


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(client: Client, port: int) -> None:
    with serving(port):
        assert [job["status"] for job in client.follow("a")] == ["transcoding", "transcribing", "completed"]


def test_who_follows_a_gateway_that_stays_away_is_told(port: int) -> None:
    with Client(Gateway(f"http://{HOST}:{port}", "k"), patience=0.2) as client, pytest.raises(Unreachable):
        list(client.follow("a"))

"""A webhook receiver as a user would run one, which keeps what it gets and can be told to misbehave."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from support.listening import listening

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request: the ``webhook-id``, all headers by lower-case name, the raw body, the path, and when (time.time)."""

    id: str
    headers: dict[str, str]
    body: bytes
    path: str
    time: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        """Raise unless the signature is right, as the reference library sees it."""
        Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Answers 200 unless told otherwise.

    ``script`` holds answers that are used up one a request; ``answer`` then answers every request. ``accepted`` are the
    ids that were answered 2xx.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    script: list[Answer] = field(default_factory=list)
    answer: Answer | None = None

    async def hook(self, request: web.Request) -> web.StreamResponse:
        """POST anything."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Received(headers.get("webhook-id", ""), headers, body, request.path, time.time())
        self.received.append(got)
        answer = self.script.pop(0) if self.script else self.answer
        response = await answer(request) if answer is not None else web.Response()
        if 200 <= response.status < 300:
            self.accepted[got.id] += 1
        return response


def status(number: int, headers: dict[str, str] | None = None) -> Answer:
    """Answer with a status."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=number, headers=headers)

    return answer


def redirect(to: str, number: int = 307) -> Answer:
    """Answer with a redirect."""
    return status(number, {"Location": to})


async def hang(_request: web.Request) -> web.StreamResponse:
    """Do not answer at all."""
    await asyncio.sleep(3600)
    return web.Response()


async def reset(request: web.Request) -> web.StreamResponse:
    """Cut the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def drip(request: web.Request) -> web.StreamResponse:
    """Send the head of an answer so slowly that it never ends."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 200 OK\r\n")
        while not request.transport.is_closing():
            request.transport.write(b"x")
            await asyncio.sleep(0.05)
    return web.Response(status=500)


async def flood(request: web.Request) -> web.StreamResponse:
    """Answer 200 with a body without end."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65536)
    except (ConnectionError, asyncio.CancelledError):
        return response


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens inside the block."""
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.hook)
    async with listening(app) as url:
        made.url = url
        yield made

"""A fake provider's book-keeping: every call it got, how each ended, and how often each audio was paid for."""

import asyncio
import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Outcome = Literal["answered", "cut", "refused", "dropped"]
Spoken = list[tuple[str, float, float]]

_VOCABULARY = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "island",
    "juniper",
    "kettle",
    "lantern",
    "meadow",
    "needle",
    "orchard",
]


@dataclass
class Call:
    """One call.

    ``outcome`` is ``answered``; ``cut`` when the client went away before the answer was sent; ``refused`` for a status
    of 400 and above; ``dropped`` when the fake closed the connection itself. Times are ``time.time()``. ``payer`` is
    who called, where callers have addresses of their own.
    """

    sha256: str
    seconds: float
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    started: float
    ended: float | None = None
    outcome: Outcome | None = None
    status: int = 200
    payer: str = ""


@dataclass(frozen=True)
class Answer:
    """A scripted answer: a status with headers and a body, or the connection closed in mid-answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


def spoken(sha256: str, seconds: float) -> Spoken:
    """Two words a second that follow from the audio's hash: other audio, other words."""
    seed = int(sha256[:8], 16)
    count = max(1, int(seconds * 2))
    return [(_VOCABULARY[(seed + 7 * i) % len(_VOCABULARY)], i * 0.5, i * 0.5 + 0.4) for i in range(count)]


def wav_seconds(head: bytes, size: int) -> float:
    """Length of a 16 kHz mono 16-bit WAV of some bytes; 0 for anything else."""
    return max(0, size - 44) / 32_000 if head.startswith(b"RIFF") else 0.0


class PaidCalls:
    """The part that every fake provider shares: a server on a free loopback port, scripts, latency, calls.

    It lives in the event loop in which it is entered, which may be a thread's own.

    Parameters
    ----------
    key
        The only key it accepts.
    latency
        Seconds from a whole request to its answer, or a function of the call.
    words
        What is heard in audio, by its hash and its seconds.
    """

    def __init__(
        self,
        *,
        key: str = "secret-test-key",
        latency: float | Callable[[Call], float] = 0.0,
        words: Callable[[str, float], Spoken] = spoken,
    ) -> None:
        self.key = key
        self.latency = latency
        self.words = words
        self.calls: list[Call] = []
        self.url = ""
        self.gate: asyncio.Semaphore | None = None
        """Where it is set each answer takes a turn of it, in the order of the calls."""
        self._script: deque[Answer] = deque()
        self._runner: web.AppRunner | None = None

    def script(self, *answers: Answer) -> None:
        """Give these answers to the next calls, one each; after them the usual ones."""
        self._script.extend(answers)

    def paid(self) -> Counter[str]:
        """How often each audio was heard to its end, by its hash; a call whose client went away is paid too."""
        return Counter(call.sha256 for call in self.calls if call.outcome in {"answered", "cut"})

    async def start(self, *routes: web.RouteDef) -> None:
        """Listen."""
        app = web.Application(client_max_size=2**31)
        app.add_routes(routes)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the server and its connections."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, request: web.Request, call: Call, usual: Callable[[], Any]) -> web.StreamResponse:
        """Wait, then give the scripted answer or the usual one, and note how the call ended."""
        self.calls.append(call)
        scripted = self._script.popleft() if self._script else Answer()
        wait = self.latency(call) if callable(self.latency) else self.latency
        await asyncio.sleep(wait + scripted.delay)
        if self.gate is not None:
            await self.gate.acquire()
        call.status = scripted.status
        body = usual() if scripted.body is None and scripted.status == 200 else scripted.body
        text = body if isinstance(body, str) else json.dumps(body)
        response = web.StreamResponse(
            status=scripted.status, headers={"Content-Type": "application/json", **scripted.headers}
        )
        response.content_length = len(text.encode())
        if request.transport is None or request.transport.is_closing():
            call.outcome = "cut"
        elif scripted.drop:
            await response.prepare(request)
            await response.write(text.encode()[: len(text) // 2])
            request.transport.close()
            call.outcome = "dropped"
        else:
            call.outcome = await self._send(request, response, text.encode())
        call.ended = time.time()
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, body: bytes) -> Outcome:
        try:
            await response.prepare(request)
            await response.write(body)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            return "cut"
        return "answered" if response.status < 400 else "refused"


async def received(chunks: AsyncIterator[bytes]) -> tuple[str, float]:
    """Hash and seconds of audio as it comes in."""
    digest, size, head = hashlib.sha256(), 0, b""
    async for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        head = (head + chunk)[:44] if len(head) < 44 else head
    return digest.hexdigest(), wav_seconds(head, size)

"""Bench B5: asking for a job with an API key, beside the same aiohttp server answering a constant.

The gateway is the real one, as a process of its own on a real PostgreSQL and a real Kafka: it checks the key, its scope
and its end, counts the use, reads the job's row for its owner, and answers it as JSON. The peer is aiohttp's server
with one route and one handler that returns the same bytes, without access log, measures or headers of its own. One
client asks both over the same number of kept connections, one request at a time on each. Both servers are kept on one
core and the client off it. They take turns; a ratio is of one round. Run by ``make bench``.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
from aiohttp import web

from scribewire_local.ports import free_port
from support.bench import Result, arguments, result, told
from support.gateway import KEY, prepare
from support.gateway_process import gateway_process
from support.peers import cpu_seconds, listens
from support.platform import running_kafka, running_postgres
from support.waiting import until

CONNECTIONS = 16
JOBS = 200

ADD_JOB = """
INSERT INTO jobs (id, owner, lane, status, stage, fraction, detail, created_at, updated_at, finished_at, transcribed_at,
                  filename, content_type, source_blob, size, sha256, options, duration, language, words, segments,
                  provider, model, transcript_blob)
VALUES ($1, 'operator', 'interactive', 'completed', 'recorder', 1, '', $2, $2, $2, $2, 'talk.mp3', 'audio/mpeg', 'x',
        1048576, repeat('0', 64), '{}', 61.5, 'en', 150, 2, 'pocketsphinx', 'en-us', 'y')"""


@dataclass(frozen=True)
class Turn:
    """One contender's turn: requests per second, and CPU microseconds of its process per request."""

    per_second: float
    cpu_us: float


class Asking(asyncio.Protocol):
    """Sends requests on one connection, the next when the answer to the last is there, until told to stop."""

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        self._requests = requests
        self._next = first
        self._rest = 0
        self.answers = 0
        self.stopped = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count a whole answer and ask again."""
        if self._rest == 0:
            if not data.startswith(b"HTTP/1.1 200"):
                self.done.set_exception(RuntimeError(data[:200]))
                return
            head, _, body = data.partition(b"\r\n\r\n")
            length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
            self._rest = int(length) - len(body)
        else:
            self._rest -= len(data)
        if self._rest > 0:
            return
        self.answers += 1
        if self.stopped:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._transport.write(self._requests[self._next])


async def turn(url: str, pid: int, paths: Sequence[str], headers: str, seconds: float) -> Turn:
    """Ask for so long."""
    address = urlsplit(url)
    requests = [f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{headers}\r\n".encode() for path in paths]
    cpu, began = cpu_seconds(pid), time.perf_counter()
    asking = []
    for number in range(CONNECTIONS):
        first = number * len(paths) // CONNECTIONS
        _, protocol = await asyncio.get_running_loop().create_connection(
            lambda first=first: Asking(requests, first), address.hostname, address.port
        )
        asking.append(protocol)
    await asyncio.wait([protocol.done for protocol in asking], timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    took, spent = time.perf_counter() - began, cpu_seconds(pid) - cpu
    answers = sum(protocol.answers for protocol in asking)
    for protocol in asking:
        protocol.stopped = True
    await asyncio.gather(*(protocol.done for protocol in asking))
    return Turn(answers / took, spent / answers * 1e6)


@contextmanager
def peer_process(body: Path) -> Iterator[tuple[int, str]]:
    """The constant, serving."""
    port = free_port()
    with subprocess.Popen([sys.executable, __file__, "peer", str(port), str(body)]) as process:
        try:
            until(lambda: listens(port), seconds=20, why="the peer serves")
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def keep_apart(*servers: int) -> None:
    """Keep servers, by pid, on one core and this process, the client, on the others; where there are several."""
    *others, last = sorted(os.sched_getaffinity(0))
    if others:
        for server in servers:
            os.sched_setaffinity(server, {last})
        os.sched_setaffinity(0, others)


def serve_peer() -> None:
    """Serve until SIGTERM."""
    body = Path(sys.argv[3]).read_bytes()

    async def constant(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/jobs/{id}", constant)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None, access_log=None)


async def fill(dsn: str) -> list[str]:
    """Add completed jobs of the operator; their addresses."""
    jobs = [uuid.uuid4() for _ in range(JOBS)]
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany(ADD_JOB, [(job, datetime.now(UTC)) for job in jobs])
        await connection.execute("VACUUM ANALYZE jobs")
    finally:
        await connection.close()
    return [f"/v1/jobs/{job}" for job in jobs]


async def new_key(url: str) -> str:
    """An API key that reads jobs."""
    asked = {"name": "bench", "scopes": ["jobs:read"], "expires_in_days": 1}
    async with (
        aiohttp.ClientSession(url, headers={"x-api-key": KEY}) as http,
        http.post("/v1/keys", json=asked) as answer,
    ):
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["key"])


async def bench(kafka: str, dsn: str, folder: Path, *, rounds: int, seconds: float) -> list[Result]:
    """All rounds."""
    await prepare(kafka, dsn)
    paths = await fill(dsn)
    async with AsyncExitStack() as stack:
        process, ours = await stack.enter_async_context(
            gateway_process(kafka, dsn, folder, SCRIBEWIRE_REQUESTS_PER_SECOND="1000000")
        )
        key = await new_key(ours)
        headers = f"x-api-key: {key}\r\n"
        async with aiohttp.request("GET", ours + paths[0], headers={"x-api-key": key}) as answer:
            (folder / "body").write_bytes(await answer.read())
        peer_pid, peer = stack.enter_context(peer_process(folder / "body"))
        keep_apart(process.pid, peer_pid)
        for url, pid in ((ours, process.pid), (peer, peer_pid)):
            await turn(url, pid, paths, headers, seconds / 3)
        turns = []
        for number in range(rounds):
            a = await turn(ours, process.pid, paths, headers, seconds)
            b = await turn(peer, peer_pid, paths, headers, seconds)
            turns.append((a, b))
            print(
                f"round {number + 1}: gateway {a.per_second:>6,.0f}/s {a.cpu_us:>4,.0f} µs CPU,"
                f" constant {b.per_second:>6,.0f}/s {b.cpu_us:>4,.0f} µs CPU",
                flush=True,
            )
    medians = [statistics.median(t[side].per_second for t in turns) for side in (0, 1)]
    # Well below 100 % it was not the server but its client, or somebody else on the machine, that set the pace.
    busy = [statistics.median(t[side].per_second * t[side].cpu_us for t in turns) / 1e6 for side in (0, 1)]
    return [
        result(
            "B5 requests/s of a job with a key",
            "aiohttp, a constant",
            [a.per_second / b.per_second for a, b in turns],
            aim=0.5,
            cpu=[a.cpu_us / b.cpu_us for a, b in turns],
            figures=f"{medians[0]:,.0f} and {medians[1]:,.0f} requests/s, servers {busy[0]:.0%} and {busy[1]:.0%} busy",
        )
    ]


def main() -> int:
    """Run all rounds; the exit status."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    with (
        running_kafka() as kafka,
        running_postgres() as postgres,
        tempfile.TemporaryDirectory(prefix="scribewire-bench-") as folder,
    ):
        results = asyncio.run(
            bench(kafka.bootstrap, postgres.dsn, Path(folder), rounds=given.rounds, seconds=given.seconds)
        )
    return told(given.output, results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        with contextlib.suppress(KeyboardInterrupt):
            serve_peer()
    else:
        sys.exit(main())

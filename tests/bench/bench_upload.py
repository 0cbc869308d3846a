"""Bench B1 and B3: what an upload costs the gateway, beside aiohttp's default multipart reader and nginx.

The gateway is the real one: push parser, hash, limit, bytes flushed and linked into the store, event acknowledged by a
real Kafka, row opened in a real PostgreSQL. The first peer is an aiohttp server that reads the same form with
`read_chunk()`, hashes and writes a file. The second is nginx with one worker, which stores a PUT by its DAV module; it
gets the bare file and does not hash. All write below the same folder, by default in memory, where flushing costs nobody
anything. Each is a process of its own; the same bytes are sent over one loopback connection, in turns, and a ratio is
of one round. B3 sends forms made to be hard to parse, beside a form of the same length with random bytes. Run by
``make bench``.
"""

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
from aiohttp import BodyPartReader, web

from scribewire_local.ports import free_port
from support.bench import Result, arguments, result, told
from support.gateway import KEY, prepare
from support.gateway_process import gateway_process
from support.peers import listens
from support.platform import running_kafka, running_postgres
from support.waiting import until

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)
BOUNDARY = "------------------------d74496d66958873e"
"""As curl makes them; browsers' are about as long."""
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Run:
    """One upload: MiB per second of wall time, CPU seconds of the server per GiB."""

    per_second: float
    cpu_per_gib: float


def send(url: str, mib: int, block: bytes = BLOCK) -> None:
    """Upload a form with a file of that many blocks; returns when the answer's first bytes are there."""
    form(url, [block] * mib)


def form(url: str, body: Sequence[bytes]) -> None:
    """Upload a form with a file of these bytes."""
    kind = f"x-api-key: {KEY}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}"
    exchange(url, f"POST /v1/jobs HTTP/1.1\r\n{kind}", [HEAD, *body, TAIL])


def put(url: str, mib: int) -> None:
    """Put a file of that many MiB; returns when the answer's first bytes are there."""
    exchange(url, f"PUT /{uuid4()} HTTP/1.1", [BLOCK] * mib)


def exchange(url: str, head: str, body: Sequence[bytes]) -> bytes:
    """Send a request over a connection of its own; return the first bytes of its answer, which must be a success."""
    address = urlsplit(url)
    length = sum(map(len, body))
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        lines = f"{head}\r\nHost: {address.netloc}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(lines.encode())
        for piece in body:
            connection.sendall(piece)
        answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 20"):
        raise RuntimeError(answer)
    return answer


@contextmanager
def watched(process: psutil.Process) -> Iterator[list[int]]:
    """Resident bytes of a process every 5 ms while the block runs."""
    sizes = [process.memory_info().rss]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.005):
            sizes.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        stop.set()
        thread.join()


def cost(pid: int, upload: Callable[[], None], mib: float) -> Run:
    """Upload once and see what it cost the server."""
    process = psutil.Process(pid)
    before, wall = process.cpu_times(), time.perf_counter()
    upload()
    wall, after = time.perf_counter() - wall, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return Run(mib / wall, max(cpu, 0.01) / mib * 1024)


async def peer(request: web.Request) -> web.Response:
    """The upload as aiohttp's documentation shows it, with a hash."""
    import hashlib

    form = await request.multipart()
    part = await form.next()
    if not isinstance(part, BodyPartReader):
        raise web.HTTPBadRequest
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=sys.argv[2]) as file:
        while chunk := await part.read_chunk():
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return web.json_response({"sha256": digest.hexdigest()})


@contextmanager
def peer_process(folder: Path) -> Iterator[tuple[int, str]]:
    """The peer, serving."""
    port = free_port()
    with subprocess.Popen([sys.executable, __file__, "peer", str(folder), str(port)]) as process:
        try:
            until(lambda: listens(port), seconds=20, why="the peer serves")
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def serve_peer() -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_post("/v1/jobs", peer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[3]), print=None)


NGINX = """daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_max_body_size 2g;
    client_body_temp_path {folder}/temp;
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {folder}/files; dav_methods PUT; }}
    }}
}}
"""


@contextmanager
def nginx_process(folder: Path) -> Iterator[tuple[int, str]]:
    """nginx, serving: the id of its one worker, and its address."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed")
    (folder / "files").mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, port=port, user=user))
    with subprocess.Popen([program, "-e", "stderr", "-p", str(folder), "-c", str(config)]) as master:
        try:
            until(lambda: psutil.Process(master.pid).children() and listens(port), seconds=20, why="nginx serves")
            [worker] = psutil.Process(master.pid).children()
            yield worker.pid, f"http://127.0.0.1:{port}"
        finally:
            master.terminate()


def _block(pattern: bytes) -> bytes:
    return (pattern * (MIB // len(pattern) + 1))[:MIB]


HARD = {
    "line ends": _block(b"\r\n"),
    "boundaries but for the last letter": _block(f"\r\n--{BOUNDARY[:-1]}x".encode()),
    "beginnings of boundaries": _block(b"\r\n--------"),
}
"""Files that look like boundaries all the way, by what they are made of; `HEAD` and `TAIL` are those of any form."""


@dataclass(frozen=True)
class Sizes:
    """Rounds, and the MiB of what is compared, of what is hard to parse, and of what memory is watched with."""

    rounds: int
    mib: int
    hard: int
    large: int


class Bench:
    """The servers, and what is measured on them.

    Parameters
    ----------
    servers
        By name: process id, address, and how a file is sent.
    """

    def __init__(self, servers: Mapping[str, tuple[int, str, Callable[[str, int], None]]], sizes: Sizes) -> None:
        self._servers = servers
        self._sizes = sizes

    def memory(self) -> list[Result]:
        """What one large upload takes."""
        pid, url, _ = self._servers["gateway"]
        with watched(psutil.Process(pid)) as seen:
            send(url, self._sizes.large)
        over = (max(seen) - seen[0]) / MIB
        name = f"B1 gateway memory during a {self._sizes.large} MiB upload, MiB over"
        return [result(name, "idle", [over], aim=32.0, at_most=True)]

    def speed(self) -> list[Result]:
        """The gateway beside its peers."""
        runs: dict[str, list[Run]] = {name: [] for name in self._servers}
        for number in range(1, self._sizes.rounds + 1):
            for name, (pid, url, upload) in self._servers.items():
                run = cost(pid, partial(upload, url, self._sizes.mib), self._sizes.mib)
                runs[name].append(run)
                print(
                    f"round {number}  {name:8} {run.per_second:6.0f} MiB/s  {run.cpu_per_gib:5.2f} CPU s/GiB",
                    flush=True,
                )
        ours = runs.pop("gateway")
        aims = {"aiohttp": ("aiohttp's default multipart, hashed", 2.3), "nginx": ("nginx's DAV PUT, not hashed", 0.4)}
        return [
            result(
                f"B1 upload of {self._sizes.mib} MiB, hashed and stored: MiB/s",
                aims[name][0],
                [a.per_second / b.per_second for a, b in zip(ours, theirs, strict=True)],
                aim=aims[name][1],
                cpu=[a.cpu_per_gib / b.cpu_per_gib for a, b in zip(ours, theirs, strict=True)],
                figures=_figures(ours, theirs),
            )
            for name, theirs in runs.items()
        ]

    def hard(self) -> list[Result]:
        """Forms made to be hard to parse, beside a plain one."""
        pid, url, _ = self._servers["gateway"]
        mib = self._sizes.hard
        results = []
        for name, block in HARD.items():
            runs = []
            for number in range(1, self._sizes.rounds + 1):
                plain, hard = cost(pid, partial(send, url, mib), mib), cost(pid, partial(send, url, mib, block), mib)
                runs.append((hard, plain))
                print(
                    f"round {number}  {name}: {hard.per_second:.0f} MiB/s, {hard.cpu_per_gib:.2f} CPU s/GiB; plain"
                    f" {plain.per_second:.0f} MiB/s, {plain.cpu_per_gib:.2f} CPU s/GiB",
                    flush=True,
                )
            results.append(
                result(
                    f"B3 {mib} MiB of {name}: MiB/s",
                    "random bytes",
                    [hard.per_second / plain.per_second for hard, plain in runs],
                    aim=0.5,
                    cpu=[hard.cpu_per_gib / plain.cpu_per_gib for hard, plain in runs],
                    figures=_figures([hard for hard, _ in runs], [plain for _, plain in runs]),
                )
            )
        return results


def _figures(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    def said(runs: Sequence[Run]) -> str:
        speed, cpu = (statistics.median(figures) for figures in zip(*map(astuple, runs), strict=True))
        return f"{speed:.0f} MiB/s at {cpu:.2f} CPU s/GiB"

    return f"{said(ours)} against {said(theirs)}"


async def compare(folder: Path, sizes: Sizes) -> list[Result]:
    """Start everything and measure; the figures go to standard output, the results are returned."""
    with (
        running_kafka() as kafka,
        running_postgres() as postgres,
        peer_process(folder) as (peer_pid, peer_url),
        nginx_process(folder) as (nginx_pid, nginx_url),
    ):
        await prepare(kafka.bootstrap, postgres.dsn)
        async with gateway_process(kafka.bootstrap, postgres.dsn, folder) as (process, url):
            servers = {
                "gateway": (process.pid, url, send),
                "aiohttp": (peer_pid, peer_url, send),
                "nginx": (nginx_pid, nginx_url, put),
            }
            bench = Bench(servers, sizes)
            await asyncio.to_thread(send, url, 1)
            await asyncio.sleep(1)  # what starting cost is settled, so that idle means idle
            return [one for part in (bench.memory, bench.speed, bench.hard) for one in await asyncio.to_thread(part)]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=256, help="size of the uploads that are compared")
    parser.add_argument("--hard", type=int, default=64, help="size of the uploads that are hard to parse")
    parser.add_argument("--large", type=int, default=500, help="size of the upload whose memory is watched")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the bytes go; by default memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder if given.folder.is_dir() else None) as folder:
        Path(folder).chmod(0o711)  # where nginx, or PostgreSQL, works under another user
        sizes = Sizes(rounds=given.rounds, mib=given.mib, hard=given.hard, large=given.large)
        results = asyncio.run(compare(Path(folder), sizes))
    return told(given.output, results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        serve_peer()
    else:
        sys.exit(main())

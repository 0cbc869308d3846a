"""Bench B1 and memory: what an upload costs the gateway, beside aiohttp's default multipart reader.

The gateway is the real one: push parser, hash, limit, bytes flushed and linked into the store, event acknowledged by a
real Kafka, row opened in a real PostgreSQL. The peer is an aiohttp server that reads the same form with `read_chunk()`,
hashes and writes a file. Each is a process of its own; the same bytes are sent over one loopback connection, in turns,
and a ratio is of one round. Run by ``make bench``.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from aiohttp import web

from support.bench import Result, record, result
from support.gateway import KEY, prepare
from support.gateway_process import gateway_process
from support.platform import running_kafka, running_postgres

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)
BOUNDARY = "------------------------d74496d66958873e"
"""As curl makes them; browsers' are about as long."""
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Run:
    """One upload: MiB per second of wall time, CPU seconds of the server per GiB, peak resident MiB over idle."""

    per_second: float
    cpu_per_gib: float
    over_idle: float


def send(url: str, mib: int) -> None:
    """Upload a form with a file of that many MiB; returns when the answer's first bytes are there."""
    address = urlsplit(url)
    length = len(HEAD) + mib * MIB + len(TAIL)
    request = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {address.netloc}\r\nx-api-key: {KEY}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        connection.sendall(request.encode() + HEAD)
        for _ in range(mib):
            connection.sendall(BLOCK)
        connection.sendall(TAIL)
        answer = connection.recv(64)
    if not answer.startswith((b"HTTP/1.1 202", b"HTTP/1.1 200")):
        raise RuntimeError(answer)


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


def measure(pid: int, url: str, mib: int) -> Run:
    """Upload once and see what it cost the server."""
    process = psutil.Process(pid)
    before, wall = process.cpu_times(), time.perf_counter()
    with watched(process) as sizes:
        send(url, mib)
    wall, after = time.perf_counter() - wall, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return Run(mib / wall, cpu / mib * 1024, (max(sizes) - sizes[0]) / MIB)


async def peer(request: web.Request) -> web.Response:
    """The upload as aiohttp's documentation shows it, with a hash."""
    import hashlib

    form = await request.multipart()
    part = await form.next()
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, __file__, "peer", str(folder), str(port)])
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    try:
        yield pid, f"http://127.0.0.1:{port}"
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def serve_peer() -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_post("/v1/jobs", peer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[3]), print=None)


async def compare(folder: Path, *, rounds: int, mib: int, large: int) -> list[Result]:
    """Let both take turns; the figures go to standard output, the ratios are returned."""
    with running_kafka() as kafka, running_postgres() as postgres, peer_process(folder) as (peer_pid, peer_url):
        await prepare(kafka.bootstrap, postgres.dsn)
        async with gateway_process(kafka.bootstrap, postgres.dsn, folder) as (process, url):
            await asyncio.to_thread(send, url, 1)
            await asyncio.sleep(1)  # what starting cost is settled, so that idle means idle
            memory = await asyncio.to_thread(measure, process.pid, url, large)
            print(f"{large} MiB   gateway {memory.over_idle:6.1f} MiB over idle  {memory.per_second:6.0f} MiB/s")
            ours, theirs = [], []
            for number in range(rounds):
                for name, runs, pid, address in (
                    ("gateway", ours, process.pid, url),
                    ("aiohttp", theirs, peer_pid, peer_url),
                ):
                    run = await asyncio.to_thread(measure, pid, address, mib)
                    runs.append(run)
                    print(
                        f"round {number + 1}  {name}  {run.per_second:6.0f} MiB/s  {run.cpu_per_gib:5.2f} CPU s/GiB  "
                        f"{run.over_idle:5.1f} MiB over idle",
                        flush=True,
                    )
    speed = [a.per_second / b.per_second for a, b in zip(ours, theirs, strict=True)]
    cpu = [b.cpu_per_gib / a.cpu_per_gib for a, b in zip(ours, theirs, strict=True)]
    return [
        result(f"upload of {mib} MiB, hashed and stored: MiB/s", "aiohttp's default multipart, hashed", speed, aim=2.3),
        result(f"upload of {mib} MiB: work per CPU second", "aiohttp's default multipart, hashed", cpu, aim=1.0),
        result(
            f"gateway memory during a {large} MiB upload, MiB over", "idle", [memory.over_idle], aim=32.0, at_most=True
        ),
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=256, help="size of the uploads that are compared")
    parser.add_argument("--large", type=int, default=500, help="size of the upload whose memory is watched")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the bytes go; by default memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder if given.folder.is_dir() else None) as folder:
        results = asyncio.run(compare(Path(folder), rounds=given.rounds, mib=given.mib, large=given.large))
    for one in results:
        print(one)
    record(given.output, results)
    return 0 if all(one.met for one in results) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["peer"]:
        serve_peer()
    else:
        sys.exit(main())

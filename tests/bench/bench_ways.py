"""Bench B6: the three ways in for bytes, side by side: a form, the bare bytes, and tus.

The gateway is the real one, with its Kafka and PostgreSQL; tus is one request that makes the upload and one that sends
the bytes, as its clients do. Each way sends the same bytes over a connection of its own, in turns; a ratio is of one
round, the form being the peer. A large file shows MiB/s, small ones show uploads/s. Run by ``make bench``.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
from bench_upload import BLOCK, Run, cost, exchange, form

from support.bench import Result, arguments, result, told
from support.gateway import KEY, prepare
from support.gateway_process import gateway_process
from support.platform import running_kafka, running_postgres

SMALL = 64 * 1024
TUS = f"x-api-key: {KEY}\r\nTus-Resumable: 1.0.0"

AIMS = {"raw": (1.0, 1.0), "tus": (0.7, 0.4)}
"""At least so much of a form's MiB/s of a large file, and of its uploads/s of small ones: tus is two requests."""

Way = Callable[[str, list[bytes]], None]


def raw(url: str, body: list[bytes]) -> None:
    """The file as the body."""
    exchange(url, f"POST /v1/jobs HTTP/1.1\r\nx-api-key: {KEY}\r\nContent-Type: audio/wav", body)


def tus(url: str, body: list[bytes]) -> None:
    """The file by tus: made, then sent."""
    length = sum(map(len, body))
    made = exchange(url, f"POST /v1/uploads HTTP/1.1\r\n{TUS}\r\nUpload-Length: {length}", [])
    (location,) = [line for line in made.decode().split("\r\n") if line.lower().startswith("location:")]
    path = "/v1/uploads/" + location.rpartition("/")[2]
    kind = "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream"
    exchange(url, f"PATCH {path} HTTP/1.1\r\n{TUS}\r\n{kind}", body)


WAYS: dict[str, Way] = {"form": form, "raw": raw, "tus": tus}


def large(pid: int, url: str, rounds: int, mib: int) -> list[Result]:
    """One large file by each way."""
    runs: dict[str, list[Run]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            runs[name].append(cost(pid, partial(way, url, [BLOCK] * mib), mib))
            run = runs[name][-1]
            print(f"{name:5} {run.per_second:6.0f} MiB/s {run.cpu_per_gib:5.2f} CPU s/GiB", flush=True)
    return [
        result(
            f"B6 {mib} MiB by {name}: MiB/s",
            "a form",
            [ours.per_second / theirs.per_second for ours, theirs in zip(runs[name], runs["form"], strict=True)],
            aim=AIMS[name][0],
            cpu=[ours.cpu_per_gib / theirs.cpu_per_gib for ours, theirs in zip(runs[name], runs["form"], strict=True)],
            figures=", ".join(
                f"{way} {statistics.median(run.per_second for run in done):.0f} MiB/s" for way, done in runs.items()
            ),
        )
        for name in ("raw", "tus")
    ]


def small(pid: int, url: str, rounds: int, count: int) -> list[Result]:
    """Many small files by each way, one after the other."""
    process, body = psutil.Process(pid), [BLOCK[:SMALL]]
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    costs: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            before, began = process.cpu_times(), time.perf_counter()
            for _ in range(count):
                way(url, body)
            wall, after = time.perf_counter() - began, process.cpu_times()
            speeds[name].append(count / wall)
            costs[name].append((after.user + after.system - before.user - before.system) / count * 1000)
            print(f"{name:5} {speeds[name][-1]:6.0f} uploads/s {costs[name][-1]:5.2f} CPU ms", flush=True)
    return [
        result(
            f"B6 {SMALL // 1024} KiB by {name}: uploads/s",
            "a form",
            [ours / theirs for ours, theirs in zip(speeds[name], speeds["form"], strict=True)],
            aim=AIMS[name][1],
            cpu=[ours / theirs for ours, theirs in zip(costs[name], costs["form"], strict=True)],
            figures=", ".join(f"{way} {statistics.median(done):.0f}/s" for way, done in speeds.items()),
        )
        for name in ("raw", "tus")
    ]


async def measure(folder: Path, rounds: int, mib: int, count: int) -> list[Result]:
    """Start a gateway and send by every way."""
    with running_kafka() as kafka, running_postgres() as postgres:
        await prepare(kafka.bootstrap, postgres.dsn)
        async with gateway_process(kafka.bootstrap, postgres.dsn, folder) as (process, url):
            for way in WAYS.values():
                await asyncio.to_thread(way, url, [BLOCK])
            return [
                *await asyncio.to_thread(large, process.pid, url, rounds, mib),
                *await asyncio.to_thread(small, process.pid, url, rounds, count),
            ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=256, help="size of the large file")
    parser.add_argument("--count", type=int, default=100, help="small files a turn")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the bytes go; by default memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder if given.folder.is_dir() else None) as folder:
        Path(folder).chmod(0o711)
        results = asyncio.run(measure(Path(folder), given.rounds, given.mib, given.count))
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

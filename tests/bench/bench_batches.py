"""Bench B5: a batch of many lines through null stages, and one of many small files through the whole platform.

The first sends a manifest with one bad line in a hundred to a real gateway, PostgreSQL, Kafka and recorder; the stages
between do nothing. It says how long the submit took, how much the gateway's memory grew over idle, how long the whole
took, and what asking how the batch is costs. The second puts small recordings into the drop area and names them by
their prefix; a provider of ours hears them. At full size, which takes a quarter of an hour and more::

    PYTHONPATH=tests python tests/bench/bench_batches.py --items 100000 --files 5000
"""

import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from bench_jobs import prepare, recording

from gateway.batches import statements
from support.bench import Result, arguments, result, told
from support.gateway import KEY, encryption_keys
from support.gateway_process import gateway_process
from support.paid_platform import paid_platform
from support.peers import driven
from support.platform import fresh_database, running_kafka, running_postgres
from support.recorder_process import environment
from support.tones import recording as small_recording

NUMBERS = ("completed", "failed", "cancelled", "bad")
OWNER = "operator"
MIB = 1024


def resident(pid: int, field: str = "VmRSS") -> float:
    """MiB a process has, or had at most (``VmHWM``), resident."""
    found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / MIB


async def manifest(items: int) -> AsyncIterator[bytes]:
    """Lines of a manifest as they would come from a file; every hundredth is bad."""
    lines = []
    for number in range(items):
        named = {"url": 7} if number % 100 == 99 else {"url": f"https://media.example/{number}.mp3?sig={number:032x}"}
        lines.append(json.dumps(named | {"reference": f"row {number}"}) + "\n")
        if len(lines) == 500:
            yield "".join(lines).encode()
            lines = []
    yield "".join(lines).encode()


async def watched(http: aiohttp.ClientSession, batch: str, *, seconds: float) -> tuple[dict[str, Any], list[float]]:
    """The batch once it is completed, and how long each look took, in milliseconds."""
    looks: list[float] = []
    async with asyncio.timeout(seconds):
        while True:
            began = time.perf_counter()
            async with http.get(f"/v1/batches/{batch}") as answer:
                assert answer.status == 200, await answer.text()
                found = dict(await answer.json())
            looks.append((time.perf_counter() - began) * 1e3)
            if len(looks) % 10 == 1 or found["status"] == "completed":
                done = sum(found[name] for name in NUMBERS)
                print(f"  {done:>7,} of {found['total']:,} ended, eta {found['eta_seconds'] or 0:,.0f} s", flush=True)
            if found["status"] == "completed":
                return found, looks
            await asyncio.sleep(2)


async def lines_of_nothing(items: int, *, outstanding: int, kafka: str, dsn: str, folder: Path) -> list[Result]:
    """The turn over null stages."""
    async with (
        gateway_process(kafka, dsn, folder, SCRIBEWIRE_BATCH_OUTSTANDING=str(outstanding), LOG_LEVEL="WARNING") as (
            process,
            url,
        ),
        aiohttp.ClientSession(url, headers={"x-api-key": KEY}) as http,
    ):
        async with http.post(
            "/v1/batches", data=manifest(100), headers={"Content-Type": "application/x-ndjson"}
        ) as warm:
            await watched(http, (await warm.json())["id"], seconds=120)
        idle = resident(process.pid)
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        began = time.perf_counter()
        body, headers = manifest(items), {"Content-Type": "application/x-ndjson"}
        async with http.post("/v1/batches", data=body, headers=headers, timeout=aiohttp.ClientTimeout(900)) as answer:
            assert answer.status == 202, await answer.text()
            batch = (await answer.json())["id"]
        submit = time.perf_counter() - began
        submitted = resident(process.pid, "VmHWM") - idle
        print(f"{items:,} lines taken in {submit:.1f} s ({items / submit:,.0f}/s); +{submitted:.0f} MiB", flush=True)
        found, looks = await watched(http, batch, seconds=3600)
        whole = time.perf_counter() - began
        grown = resident(process.pid, "VmHWM") - idle
    bad = items // 100
    assert (found["completed"], found["bad"]) == (items - bad, bad), found
    connection = await asyncpg.connect(dsn)
    try:
        jobs = await connection.fetchval(
            "SELECT count(DISTINCT job_id) FROM batch_items JOIN jobs ON jobs.id = job_id"
            " WHERE batch_id = $1 AND jobs.status = 'completed'",
            batch,
        )
        assert jobs == items - bad, jobs
        for name in ("BATCH_OF_OWNER", "OUT_NOW", "LATELY"):
            asked = (OWNER, batch) if name == "BATCH_OF_OWNER" else (batch, OWNER)
            plan = await connection.fetch(f"EXPLAIN (ANALYZE) {getattr(statements, name)}", *asked)
            print(f"    {name}: {plan[-1][0]}")
    finally:
        await connection.close()
    looks.sort()
    print(
        f"every item ended after {whole:.0f} s ({items / whole:,.0f}/s); gateway {idle:.0f} MiB idle, +{grown:.0f} MiB"
    )
    print(f"GET /v1/batches/ID: median {looks[len(looks) // 2]:.0f} ms, slowest {looks[-1]:.0f} ms")
    figures = f"submit {submit:.1f} s, all ended after {whole:.0f} s, +{grown:.0f} MiB"
    name = f"B5 batch of {items:,} lines: MiB of the gateway over idle"
    return [result(name, "a fixed bound", [grown], aim=100.0, at_most=True, figures=figures)]


def through_nothing(items: int, outstanding: int) -> list[Result]:
    """Start what the first turn needs, and take it."""
    with ExitStack() as stack:
        kafka = stack.enter_context(running_kafka())
        postgres = stack.enter_context(running_postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scribewire-bench-")))
        dsn = fresh_database(postgres.dsn)
        blobs = folder / "blobs"
        blobs.mkdir()
        encryption_keys(folder)
        asyncio.run(prepare(kafka.bootstrap, dsn, blobs))
        env = environment(kafka.bootstrap, dsn, blobs) | {"PYTHONPATH": "tests", "LOG_LEVEL": "WARNING"}
        stages = stack.enter_context(driven(sys.executable, "-m", "support.null_stages", env=env))
        stack.enter_context(recording(env))
        stages.ask()
        return asyncio.run(
            lines_of_nothing(items, outstanding=outstanding, kafka=kafka.bootstrap, dsn=dsn, folder=folder)
        )


def through_everything(files: int) -> None:
    """The turn over the whole platform, with small real files."""
    with paid_platform() as (platform, engine):
        area = platform.home / "blobs" / "users" / OWNER / "incoming" / "small"
        area.mkdir(parents=True)
        for number in range(files):
            (area / f"{number:05d}.wav").write_bytes(small_recording(number, bursts=1, sound=0.3, pause=0.2))

        async def turn() -> None:
            async with aiohttp.ClientSession(platform.url, headers={"x-api-key": platform.key}) as http:
                began = time.perf_counter()
                asked = {"prefix": f"users/{OWNER}/incoming/small/"}
                async with http.post("/v1/batches?provider=deepgram", json=asked) as answer:
                    assert answer.status == 202, await answer.text()
                    batch = (await answer.json())["id"]
                submit = time.perf_counter() - began
                found, _ = await watched(http, batch, seconds=7200)
                whole = time.perf_counter() - began
                assert found["completed"] == files, found
                print(
                    f"{files:,} files named in {submit:.1f} s, all completed after {whole:.0f} s"
                    f" ({files / whole:,.1f}/s), {len(engine.calls):,} calls paid"
                )

        asyncio.run(turn())


def main() -> int:
    """Run both; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--items", type=int, default=5_000, help="lines of the manifest; 0 leaves that turn out")
    parser.add_argument("--files", type=int, default=100, help="small files; 0 leaves that turn out")
    parser.add_argument("--outstanding", type=int, default=512, help="jobs at work at once over null stages")
    given = parser.parse_args()
    if given.files:
        through_everything(given.files)
    return told(given.output, through_nothing(given.items, given.outstanding)) if given.items else 0


if __name__ == "__main__":
    sys.exit(main())

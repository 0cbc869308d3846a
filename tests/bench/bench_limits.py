"""Bench S9: what limits cost who keeps to them, and what a flood costs that is refused.

A gateway in a process of its own, real Kafka and PostgreSQL. *Submits*: small files, one after the other, by an account
whose every limit is counted, beside the operator, whose jobs nobody counts; A B A B; as many as a turn has are under
way at its end. *Floods*: requests over the bound, refused before the door, beside the same ones answered. CPU is the
gateway's and PostgreSQL's together. Run by ``make bench``.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import asyncpg

from support.bench import Result, arguments, result, told
from support.gateway import KEY, prepare
from support.gateway_process import environment
from support.peers import cpu_seconds
from support.platform import running_kafka, running_postgres

SOUND = b"RIFF" + bytes(4096)


@dataclass(frozen=True)
class Turn:
    """One contender's turn: microseconds of a request, and of CPU of the servers' for it."""

    wall_us: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.wall_us:>6,.0f} µs, {self.cpu_us:>6,.0f} µs CPU"


@contextmanager
def serving(kafka: str, dsn: str, folder: Path, **more: str) -> Iterator[tuple[int, str]]:
    """A gateway that believes an owner's name: its pid and address."""
    env = environment(folder, SCRIBEWIRE_KAFKA=kafka, DATABASE_URL=dsn, PORT="0", LOG_LEVEL="ERROR", **more)
    command = [sys.executable, "-m", "support.believing_gateway"]
    with subprocess.Popen(
        command, env=env | {"PYTHONPATH": str(Path("tests").resolve())}, cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(30)


async def turn(pids: list[int], url: str, method: str, path: str, count: int, status: int, **headers: str) -> Turn:
    """Send a request so many times, one after the other."""
    async with aiohttp.ClientSession(url, headers=headers) as http:

        async def once() -> None:
            data = SOUND if method == "POST" else None
            async with http.request(method, path, data=data) as answer:
                await answer.read()
                assert answer.status == status, await answer.text()

        await once()
        cpu, began = cpu_seconds(*pids), time.perf_counter()
        for _ in range(count):
            await once()
        return Turn((time.perf_counter() - began) / count * 1e6, (cpu_seconds(*pids) - cpu) / count * 1e6)


def by(who: str) -> Mapping[str, str]:
    """The headers of a caller."""
    return {"Authorization": f"Bearer {who}"}


def row(name: str, peer: str, ours: list[Turn], theirs: list[Turn], aim: float) -> Result:
    """One result: the ratio of CPU."""
    middle = [sorted(turns, key=lambda one: one.cpu_us)[len(turns) // 2] for turns in (ours, theirs)]
    ratios = [a.cpu_us / b.cpu_us for a, b in zip(ours, theirs, strict=True)]
    return result(name, peer, ratios, aim=aim, at_most=True, figures=f"{middle[0]} against {middle[1]}")


async def compare(folder: Path, *, rounds: int, submits: int, requests: int) -> list[Result]:
    """Start everything and measure; the figures go to standard output, the results are returned."""
    with running_kafka() as kafka, running_postgres() as postgres:
        await prepare(kafka.bootstrap, postgres.dsn)
        account = str(uuid4())
        database = await asyncpg.connect(postgres.dsn)
        await database.execute(
            "INSERT INTO accounts (id, plan, created_at, updated_at) VALUES ($1, 'pro', now(), now())", account
        )
        await database.execute(
            "INSERT INTO account_limits VALUES ($1, $2, now())",
            *(account, '{"jobs_per_hour": 1000000, "jobs_per_month": 1000000, "outstanding_jobs": 1000000}'),
        )
        pairs: dict[str, tuple[list[Turn], list[Turn]]] = {"submit": ([], []), "flood": ([], [])}
        with serving(kafka.bootstrap, postgres.dsn, folder, SCRIBEWIRE_REQUESTS_PER_SECOND="0") as (pid, url):
            pids = [pid, postgres.pid]
            for number in range(rounds):
                for turns, who in zip(pairs["submit"], (account, KEY), strict=True):
                    turns.append(await turn(pids, url, "POST", "/v1/jobs", submits, 202, **by(who)))
                    # Nobody works here, so jobs have to be ended for as few to be under way as there would be.
                    await database.execute("UPDATE jobs SET finished_at = now() WHERE finished_at IS NULL")
                    name = "counted" if who == account else "operator"
                    print(f"round {number + 1}  submit {name:9} {turns[-1]}", flush=True)
        proxies = {"SCRIBEWIRE_TRUSTED_PROXIES": "127.0.0.0/8", "SCRIBEWIRE_REQUESTS_PER_SECOND": "0.01"}
        with serving(kafka.bootstrap, postgres.dsn, folder, **proxies) as (pid, url):
            pids = [pid, postgres.pid]
            for number in range(rounds):
                strange = {"X-Forwarded-For": "203.0.113.7"}
                async with aiohttp.ClientSession(url, headers=strange) as http, http.get("/v1/jobs") as answer:
                    assert answer.status in {401, 429}  # takes what is in the bucket
                for turns, status, headers in zip(
                    pairs["flood"], (429, 200), ({**by(KEY), **strange}, by(KEY)), strict=True
                ):
                    turns.append(await turn(pids, url, "GET", "/v1/jobs?limit=1", requests, status, **headers))
                    print(f"round {number + 1}  {status} {turns[-1]}", flush=True)
        await database.close()
    return [
        row("S9 CPU of a submit whose limits are counted", "the operator's, not counted", *pairs["submit"], 1.25),
        row("S9 CPU of a request over the bound", "the same, answered", *pairs["flood"], 0.5),
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--submits", type=int, default=300, help="jobs a turn")
    parser.add_argument("--requests", type=int, default=2000, help="requests a turn of the flood")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        Path(folder).chmod(0o711)
        results = asyncio.run(
            compare(Path(folder), rounds=given.rounds, submits=given.submits, requests=given.requests)
        )
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

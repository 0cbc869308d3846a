"""Bench A3: jobs that are no work, through every stage and into their rows, beside a chain of five Celery tasks.

Ours: real Kafka, real PostgreSQL, the real recorder in one process, and the stages before it, doing nothing, in
another. A job is five hand-overs (upload.received, segment.ready, segment.transcribed, translation.requested,
translation.completed), seven events, and rows in four tables; it counts as ended when its job.completed is on the log.
Celery: as many worker processes, with Debian's Redis as broker and result backend, both as they are by default; a
chain has ended when its last result is stored. Each turn runs from the first submission to the last end, and
submitting is part of both. Redis writes to disk now and then, PostgreSQL at every commit. Run by ``make bench``.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from common import layout, topics
from common.blobs.folder import FolderBlobs
from common.bus.producer import Producer
from common.db.migrate import migrate
from common.events import BlobRef, JobCompleted, UploadReceived
from common.options import JobOptions, SegmentPlan
from common.transcript import Transcript, Utterance
from scribewire_local.ports import free_port
from support.bench import Result, arguments, result, told
from support.null_stages import LANGUAGE, TRANSCRIPT
from support.peers import PROGRAMS, cpu_seconds, driven, peers_python, wait_until_listening
from support.platform import fresh_database, running_kafka, running_postgres
from support.recorder_process import environment

OWNER = "operator"
WORKERS = 2
"""Processes that work on jobs, on either side."""


@dataclass(frozen=True)
class Turn:
    """One contender's turn: jobs per second, and CPU microseconds per job, apart for the servers."""

    per_second: float
    clients_us: float
    servers_us: float

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of a job in every process there is."""
        return self.clients_us + self.servers_us

    def __str__(self) -> str:
        return (
            f"{self.per_second:>7,.0f} jobs/s  {self.clients_us:>6,.0f} µs CPU/job, servers {self.servers_us:>6,.0f} µs"
        )


class Meter:
    """CPU of the processes of one side since it was made."""

    def __init__(self, clients: list[int], servers: list[int]) -> None:
        self._clients, self._servers = clients, servers
        self._before = self._now()

    def turn(self, count: int, seconds: float) -> Turn:
        """What a turn of some jobs came to."""
        clients, servers = (now - then for now, then in zip(self._now(), self._before, strict=True))
        return Turn(count / seconds, clients / count * 1e6, servers / count * 1e6)

    def _now(self) -> tuple[float, float]:
        return cpu_seconds(*self._clients), cpu_seconds(*self._servers)


class Ours:
    """The platform's spine: submits as the gateway does, and sees jobs end as the notifier does."""

    def __init__(self, kafka: str, dsn: str, workers: list[int], servers: list[int]) -> None:
        self._kafka, self._dsn = kafka, dsn
        self._workers, self._servers = workers, servers

    async def turn(self, count: int) -> Turn:
        """Put so many jobs in and wait until all have ended and their rows say so."""
        producer = Producer(self._kafka, service="gateway")
        ends = AIOKafkaConsumer(JobCompleted.type, bootstrap_servers=self._kafka)
        await producer.start()
        await ends.start()
        await ends.seek_to_end()
        # Where "the end" is must be known before there is anything after it.
        for partition in ends.assignment():
            await ends.position(partition)
        jobs = [uuid.uuid4() for _ in range(count)]
        meter = Meter([os.getpid(), *self._workers], self._servers)
        began = time.perf_counter()
        submitting = asyncio.create_task(producer.publish_many(map(upload, jobs)))
        left = {str(job).encode() for job in jobs}
        async with asyncio.timeout(120):
            while left:
                for records in (await ends.getmany(timeout_ms=1000)).values():
                    left.difference_update(found.key for found in records)
        turn = meter.turn(count, time.perf_counter() - began)
        await submitting
        await ends.stop()
        await producer.stop()
        await self._check(jobs)
        return turn

    async def _check(self, jobs: list[uuid.UUID]) -> None:
        """Every job has its rows."""
        connection = await asyncpg.connect(self._dsn)
        try:
            for table, key, condition in (
                ("jobs", "id", "status = 'completed'"),
                ("translations", "job_id", "blob IS NOT NULL"),
                ("utterances", "job_id", "true"),
                ("usage", "job_id", "true"),
            ):
                query = f"SELECT count(*) FROM {table} WHERE {key} = ANY($1) AND {condition}"
                rows = await connection.fetchval(query, jobs)
                assert rows == len(jobs), f"{rows} of {len(jobs)} jobs have their row in {table}"
        finally:
            await connection.close()


def upload(job: uuid.UUID) -> UploadReceived:
    """What the gateway says of an accepted job."""
    return UploadReceived(
        job_id=job,
        owner=OWNER,
        source=BlobRef(name=layout.original(OWNER, job, "0" * 64), size=1),
        filename="speech.wav",
        content_type="audio/wav",
        sha256="0" * 64,
        options=JobOptions(translate=(LANGUAGE,)),
        plan=SegmentPlan(provider="null"),
    )


@contextmanager
def our_side() -> Iterator[Ours]:
    """The platform's spine, started and consuming."""
    with ExitStack() as stack:
        kafka = stack.enter_context(running_kafka())
        postgres = stack.enter_context(running_postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scribewire-bench-")))
        dsn = fresh_database(postgres.dsn)
        asyncio.run(prepare(kafka.bootstrap, dsn, folder))
        env = environment(kafka.bootstrap, dsn, folder) | {"PYTHONPATH": "tests", "LOG_LEVEL": "WARNING"}
        stages = stack.enter_context(driven(sys.executable, "-m", "support.null_stages", env=env))
        recorder = stack.enter_context(recording(env))
        stages.ask()
        yield Ours(kafka.bootstrap, dsn, [stages.process.pid, recorder], [kafka.pid, postgres.pid])


async def prepare(kafka: str, dsn: str, folder: Path) -> None:
    """Topics, tables, and the transcript that all jobs share."""
    await topics.apply(kafka)
    await migrate(SecretStr(dsn))
    said = Utterance(start=0, end=1, text="nothing was said")
    transcript = Transcript(text=said.text, language="en", duration=1.0, utterances=(said,), provider="null")
    await FolderBlobs(folder).write(TRANSCRIPT, transcript.model_dump_json().encode())


@contextmanager
def recording(env: dict[str, str]) -> Iterator[int]:
    """The real recorder; its pid."""
    process = subprocess.Popen([sys.executable, "-m", "recorder"], env=env)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


class Celery:
    """Celery's side."""

    def __init__(self, driver: object, workers: list[int], servers: list[int]) -> None:
        self._driver, self._workers, self._servers = driver, workers, servers

    def turn(self, count: int) -> Turn:
        """Put so many chains in and wait until all have ended."""
        meter = Meter(self._workers, self._servers)
        return meter.turn(count, self._driver.ask(count)["seconds"])


@contextmanager
def their_side() -> Iterator[Celery]:
    """Redis, and a Celery worker of as many processes."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="scribewire-bench-redis-"))
        port = free_port()
        server = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        redis = stack.enter_context(ended(server))
        wait_until_listening(port)
        python = peers_python()
        env = {**os.environ, "REDIS": f"redis://127.0.0.1:{port}/0", "PYTHONPATH": str(PROGRAMS)}
        command = ["-m", "celery", "-A", "celery_chain", "worker", "--concurrency", str(WORKERS), "--loglevel", "ERROR"]
        worker = stack.enter_context(ended([str(python), *command], env=env))
        driver = stack.enter_context(driven(python, PROGRAMS / "celery_chain.py", env=env))
        driver.ask(10)
        yield Celery(driver, [worker, driver.process.pid], [redis])


@contextmanager
def ended(command: list[str], env: dict[str, str] | None = None) -> Iterator[int]:
    """A program that says nothing of interest; its pid."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def compare(*, jobs: int, chains: int, rounds: int) -> list[Result]:
    """Let the two take turns; the figures go to standard output, the ratios are returned."""
    mine: list[Turn] = []
    theirs: list[Turn] = []
    with our_side() as ours, their_side() as celery:
        asyncio.run(ours.turn(jobs // 4))
        for number in range(rounds):
            mine.append(asyncio.run(ours.turn(jobs)))
            print(f"round {number + 1}  scribewire {mine[-1]}", flush=True)
            theirs.append(celery.turn(chains))
            print(f"round {number + 1}  celery     {theirs[-1]}", flush=True)
    ratios = [m.per_second / t.per_second for m, t in zip(mine, theirs, strict=True)]
    cpu = [m.cpu_us / t.cpu_us for m, t in zip(mine, theirs, strict=True)]
    middle = rounds // 2
    return [
        result(
            "A3 jobs per second through all stages, with rows",
            f"Celery, a chain of five, {WORKERS} worker processes",
            ratios,
            aim=5.0,
            cpu=cpu,
            figures=" · ".join(
                f"{sorted(turn.per_second for turn in turns)[middle]:,.0f} jobs/s,"
                f" {sorted(turn.clients_us for turn in turns)[middle]:,.0f} µs CPU a job and"
                f" {sorted(turn.servers_us for turn in turns)[middle]:,.0f} in the servers"
                for turns in (mine, theirs)
            ),
        )
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--jobs", type=int, default=4_000, help="jobs a turn")
    parser.add_argument("--chains", type=int, default=500, help="chains a turn of Celery")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    results = compare(jobs=given.jobs, chains=given.chains, rounds=given.rounds)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

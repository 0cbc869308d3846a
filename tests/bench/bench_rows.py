"""Bench E1: a transcript's rows, written once by the recorder's store and once by SQLAlchemy's ORM.

Both write the same rows into the same PostgreSQL, durably, one transaction for each transcript: its job, its
utterances and its usage. The recorder's way also holds the job's row and notes the log's offsets, and is the only one
of the two that may do it all again without harm. They take turns; a ratio is of one round. Run by ``make bench``.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import registry

from common.db import tables
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import UsageRecorded
from common.settings import CommonSettings
from common.transcript import Utterance
from recorder.job import Job
from recorder.store import Store
from support.bench import Result, arguments, result, told
from support.platform import running_postgres

OWNER = "operator"
AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """One contender's turn: rows per second of wall time, and microseconds of this process's CPU per row."""

    per_second: float
    cpu_us: float


class JobRow:
    """A job, mapped as it stands in `common.db.tables`."""


class UtteranceRow:
    """An utterance, likewise."""


class UsageRow:
    """A billable act, likewise."""


def story(job: Job) -> UsageRecorded:
    """The usage of a job."""
    return UsageRecorded(
        job_id=job.id, owner=OWNER, time=AT, usage_id=uuid4(), service="transcription", provider="deepgram",
        endpoint="/v1/listen", model="nova-3", audio_seconds=5400.0, cost_usd=0.387,
    )  # fmt: skip


def spoken(count: int) -> list[Utterance]:
    """Utterances of ten words each."""
    text = "the quick brown fox jumps over the lazy dog again"
    return [
        Utterance(start=n * 2.7, end=n * 2.7 + 2.4, text=f"{text} {n}", speaker=f"Speaker {n % 3 + 1}")
        for n in range(count)
    ]


def jobs(count: int) -> list[Job]:
    """Jobs that have their transcripts, none of them known to the database."""
    job = Job(id=uuid4(), owner=OWNER, lane="interactive", status="completed", created_at=AT, finished_at=AT)
    return [replace(job, id=uuid4(), duration=5400.0, language="en", words=20_000) for _ in range(count)]


async def ours(store: Store, batch: Sequence[Job], said: Sequence[Utterance]) -> None:
    """The recorder's transaction, once for each transcript."""
    for number, job in enumerate(batch):
        usage = story(job)
        async with store.transaction() as ledger:
            await ledger.lock({job.id: usage})
            await ledger.save([job])
            await ledger.add_utterances({job.id: said})
            await ledger.add_usage([usage])
            await ledger.advance({("transcript.completed", 0): number + 1})


async def orm(engine: Any, batch: Sequence[Job], said: Sequence[Utterance]) -> None:
    """What SQLAlchemy's documentation shows: objects, `add_all`, `commit`."""
    for job in batch:
        usage = story(job)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            session.add(
                JobRow(
                    id=job.id, owner=job.owner, lane=job.lane, status=job.status, created_at=AT, finished_at=AT,
                    duration=job.duration, language=job.language, words=job.words,
                )
            )  # fmt: skip
            session.add_all(
                UtteranceRow(
                    job_id=job.id, index=index, start=one.start, end=one.end, speaker=one.speaker, text=one.text
                )
                for index, one in enumerate(said)
            )
            session.add(
                UsageRow(
                    id=usage.usage_id, job_id=job.id, owner=OWNER, service=usage.service, provider=usage.provider,
                    endpoint=usage.endpoint, model=usage.model, audio_seconds=usage.audio_seconds, tokens=0,
                    cost_usd=usage.cost_usd, at=AT,
                )
            )  # fmt: skip
            await session.commit()


def map_tables() -> None:
    """Tell the ORM of the tables."""
    mapper = registry()
    mapper.map_imperatively(JobRow, tables.jobs)
    mapper.map_imperatively(UtteranceRow, tables.utterances)
    mapper.map_imperatively(UsageRow, tables.usage)


async def measured(write: Callable[[Sequence[Job]], Awaitable[None]], transcripts: int, rows: int) -> Run:
    """Let a contender write some transcripts of that many rows."""
    batch = jobs(transcripts)
    wall, cpu = time.perf_counter(), time.process_time()
    await write(batch)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Run(transcripts * rows / wall, cpu / (transcripts * rows) * 1e6)


async def compare(*, rounds: int, transcripts: int, segments: int) -> list[Result]:
    """Let both take turns; the figures go to standard output, the ratio is returned."""
    map_tables()
    said, rows = spoken(segments), segments + 2
    with running_postgres() as postgres:
        await migrate(SecretStr(postgres.dsn))
        engine = create_async_engine(postgres.dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
        async with open_pool(CommonSettings(database_url=SecretStr(postgres.dsn))) as pool:
            contenders: dict[str, Callable[[Sequence[Job]], Awaitable[None]]] = {
                "recorder": lambda batch: ours(Store(pool), batch, said),
                "ORM": lambda batch: orm(engine, batch, said),
            }
            for write in contenders.values():
                await measured(write, 1, rows)
            runs: dict[str, list[Run]] = {name: [] for name in contenders}
            for number in range(rounds):
                for name, write in contenders.items():
                    run = await measured(write, transcripts, rows)
                    runs[name].append(run)
                    print(f"round {number + 1}  {name:8} {run.per_second:9.0f} rows/s  {run.cpu_us:6.1f} µs CPU/row")
            await again(Store(pool), said)
        await engine.dispose()
    pairs = list(zip(runs["recorder"], runs["ORM"], strict=True))
    cpu = [a.cpu_us / b.cpu_us for a, b in pairs]
    return [
        result(
            f"E1 rows of a transcript of {segments} utterances with its usage, idempotent: rows/s",
            "SQLAlchemy ORM add_all, not idempotent",
            [a.per_second / b.per_second for a, b in pairs],
            aim=6.0,
            cpu=cpu,
            figures=" against ".join(
                f"{statistics.median(run.per_second for run in of):.0f} rows/s" for of in runs.values()
            ),
        ),
        result(
            f"E1 rows of a transcript of {segments} utterances with its usage: client CPU per row",
            "SQLAlchemy ORM add_all, not idempotent",
            cpu,
            aim=0.125,
            at_most=True,
        ),
    ]


async def again(store: Store, said: Sequence[Utterance]) -> None:
    """Writing a transcript twice must change nothing, or the comparison would be with something else."""
    batch = jobs(1)
    await ours(store, batch, said)
    await ours(store, batch, said)


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--transcripts", type=int, default=20, help="transcripts of one turn")
    parser.add_argument("--segments", type=int, default=2000, help="utterances of a transcript")
    given = parser.parse_args()
    results = asyncio.run(compare(rounds=given.rounds, transcripts=given.transcripts, segments=given.segments))
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

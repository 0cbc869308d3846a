"""The projection in PostgreSQL: domain words in, the recorder's statements out."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg

from common.db.away import AWAY
from common.db.storable import storable
from common.errors import Permanent, Transient
from common.events import Event, JobControl, Terminal, TranslationCompleted, UsageRecorded
from common.transcript import Utterance
from recorder import statements as sql
from recorder.job import Job, Outcome
from recorder.ports import Sweep

_job_values = attrgetter(*sql.JOB)
_outcome_values = attrgetter(*(name for name in sql.TRANSLATION if name != "job_id"))


class Store:
    """`recorder.ports.Projection` in PostgreSQL.

    Parameters
    ----------
    pool
        Connections from `common.db.pool`; the database may be away.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """One transaction."""
        with in_two_words():
            async with self._pool.acquire() as connection, connection.transaction():
                yield Transaction(connection)

    async def announced(self, events: Sequence[Terminal]) -> None:
        """Note announcements; a job erased meanwhile is swept again, since the log may hold its end once more."""
        if not events:
            return
        async with self.transaction() as transaction:
            there = await transaction.mark_announced([event.job_id for event in events])
            await transaction.sweep_again([event for event in events if event.job_id not in there])

    async def unannounced(self, limit: int) -> list[Job]:
        """Some jobs that have ended and were not announced."""
        with in_two_words():
            async with self._pool.acquire() as connection:
                return await _jobs(connection, await connection.fetch(sql.UNANNOUNCED, limit))

    async def to_sweep(self, limit: int) -> list[Sweep]:
        """Some erased jobs that are still to be swept."""
        with in_two_words():
            rows = await self._pool.fetch(sql.TO_SWEEP, limit)
        return [Sweep(**{**row, "languages": tuple(sorted(set(row["languages"] or ())))}) for row in rows]

    async def swept(self, sweep: Sweep) -> None:
        """Note that a sweep is done."""
        with in_two_words():
            await self._pool.execute(sql.MARK_SWEPT, sweep.job_id, sweep.round)


class Transaction:
    """`recorder.ports.Ledger` on one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def lock(self, first: Mapping[UUID, Event]) -> tuple[dict[UUID, Job], set[UUID]]:
        """Hold jobs, in the order of their ids, so that two recorders never wait for each other in a ring."""
        if not first:
            return {}, set()
        ids = sorted(first)
        await self._connection.execute(
            sql.OPEN_ROWS, ids, [first[job].owner for job in ids], [first[job].lane for job in ids]
        )
        rows = await self._connection.fetch(sql.LOCK_JOBS, ids)
        # Asked only now: whoever erased one of them has committed before the row could be locked here.
        erased = {row["job_id"] for row in await self._connection.fetch(sql.ERASED_AMONG, ids)}
        if erased:
            await self._connection.execute(sql.DROP_JOBS, list(erased))
        jobs = await _jobs(self._connection, [row for row in rows if row["id"] not in erased])
        return {job.id: job for job in jobs}, erased

    async def save(self, jobs: Sequence[Job]) -> None:
        """Write jobs and their translations."""
        if not jobs:
            return
        await self._connection.execute(sql.SAVE_JOBS, *_columns(sql.JOB, map(_job_values, jobs)))
        outcomes = [(job.id, *_outcome_values(outcome)) for job in jobs for outcome in job.outcomes.values()]
        if outcomes:
            await self._connection.execute(sql.SAVE_TRANSLATIONS, *_columns(sql.TRANSLATION, outcomes))

    async def add_utterances(self, utterances: Mapping[UUID, Sequence[Utterance]]) -> None:
        """Write what was said.

        A job's rows come of one transcript, which is written once, and go in under the job's lock in one transaction:
        all are there or none. So one look a job does for idempotence, and the rows go by COPY, which has no conflicts.
        """
        if not utterances:
            return
        there = {row["job_id"] for row in await self._connection.fetch(sql.SPOKEN_AMONG, list(utterances))}
        rows = (
            (job, index, said.start, said.end, storable(said.speaker), storable(said.text))
            for job, spoken in utterances.items()
            if job not in there
            for index, said in enumerate(spoken)
        )
        await self._connection.copy_records_to_table("utterances", records=rows, columns=sql.UTTERANCE)

    async def add_usage(self, events: Sequence[UsageRecorded]) -> None:
        """Write billable acts."""
        rows = [
            (
                event.usage_id,
                event.job_id,
                storable(event.owner),
                event.service,
                storable(event.provider),
                storable(event.endpoint),
                storable(event.model),
                event.audio_seconds,
                event.tokens,
                Decimal(repr(event.cost_usd)),
                event.time,
            )
            for event in events
        ]
        if rows:
            await self._connection.execute(sql.ADD_USAGE, *zip(*rows, strict=True))

    async def erase(self, deletes: Mapping[UUID, JobControl]) -> None:
        """Remove rows, keep bare ids."""
        if not deletes:
            return
        ids = list(deletes)
        gone: Counter[UUID] = Counter()
        languages: defaultdict[UUID, set[str]] = defaultdict(set)
        for row in await self._connection.fetch(sql.DROP_TRANSLATIONS, ids):
            gone[row["job_id"]] += 1
            languages[row["job_id"]].add(row["language"])
        for row in await self._connection.fetch(sql.DROP_UTTERANCES, ids):
            gone[row["job_id"]] += row["rows"]
        for row in await self._connection.fetch(sql.DROP_JOBS, ids):
            gone[row["id"]] += row["known"]
            languages[row["id"]].update(row["translations"] or (), row["asked"] or ())
        times = [deletes[job].time for job in ids]
        await self._connection.execute(sql.BLANK_DELIVERIES, ids, times)
        await self._connection.execute(
            sql.KEEP_BARE_IDS,
            ids,
            times,
            [deletes[job].owner for job in ids],
            [json.dumps(sorted(languages[job])) for job in ids],
            [gone[job] for job in ids],
        )

    async def sweep_again(self, late: Sequence[Event]) -> None:
        """Ask for sweeps, with the languages that the events tell of."""
        if not late:
            return
        owners = {event.job_id: event.owner for event in late}
        languages: defaultdict[UUID, set[str]] = defaultdict(set)
        for event in late:
            if isinstance(event, TranslationCompleted):
                languages[event.job_id].add(storable(event.language))
        spoken = [json.dumps(sorted(languages[job])) for job in owners]
        await self._connection.execute(sql.SWEEP_AGAIN, list(owners), list(owners.values()), spoken)

    async def mark_announced(self, jobs: Sequence[UUID]) -> set[UUID]:
        """Note announcements; return the jobs that still have a row."""
        return {row["id"] for row in await self._connection.fetch(sql.MARK_ANNOUNCED, jobs)}

    async def advance(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note next offsets."""
        if offsets:
            places = sorted(offsets)
            topics, partitions = zip(*places, strict=True)
            await self._connection.execute(sql.ADVANCE, topics, partitions, [offsets[place] for place in places])


@contextmanager
def in_two_words() -> Iterator[None]:
    """What asyncpg raises, as `Transient` or `Permanent`; neither tells what was in the rows."""
    try:
        yield
    except AWAY as error:
        # asyncpg's own word for a value that does not fit its type is one of these as well.
        if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
            raise Permanent("unstorable", "An event holds a value that cannot be recorded.") from error
        raise Transient(f"PostgreSQL is away ({type(error).__name__})", code="database_away") from error
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise Permanent("unstorable", "An event holds a value that cannot be recorded.") from error


async def _jobs(connection: Any, rows: Sequence[Any]) -> list[Job]:
    if not rows:
        return []
    outcomes: defaultdict[UUID, dict[str, Outcome]] = defaultdict(dict)
    for row in await connection.fetch(sql.TRANSLATIONS_OF, [row["id"] for row in rows]):
        values = dict(row)
        job = values.pop("job_id")
        outcomes[job][row["language"]] = Outcome(**values)
    return [_job(dict(row), outcomes.get(row["id"], {})) for row in rows]


def _job(row: dict[str, Any], outcomes: Mapping[str, Outcome]) -> Job:
    if row["translations"] is not None:
        row["translations"] = tuple(row["translations"])
    return Job(**row, outcomes=outcomes)


def _columns(kinds: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Rows turned into one array for each column."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    return [
        [None if value is None else json.dumps(value) for value in column] if kind == "jsonb" else column
        for column, kind in zip(columns, kinds.values(), strict=True)
    ]

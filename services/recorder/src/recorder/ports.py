"""What the recorder needs of the world: a projection to write to, and a log that can be made to forget."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.events import Event, JobControl, Terminal, UsageRecorded
from common.options import Lane
from common.transcript import Utterance
from recorder.job import Job


@dataclass(frozen=True)
class Sweep:
    """What is still to be erased of a job whose rows are gone; ``round`` tells one request from the next."""

    job_id: UUID
    owner: str
    languages: tuple[str, ...]
    erased_at: datetime
    rows: int
    proved: bool
    round: int


@dataclass(frozen=True)
class ErasedAccount:
    """An account that is to leave nothing.

    ``jobs`` is how many it had, ``forgotten`` whether the gateway has nothing left of it, ``proved`` whether nothing at
    all was left once.
    """

    owner: str
    asked_at: datetime
    jobs: int
    forgotten: bool
    proved: bool

    @property
    def id(self) -> UUID:
        """The account's id, which is its name as an owner."""
        return UUID(self.owner)


@dataclass(frozen=True)
class DroppedRows:
    """How many rows of an account have gone by now, beside its jobs'."""

    usage: int
    deliveries: int


class Ledger(Protocol):
    """One transaction on the projection: all of it is there afterwards, or nothing.

    Every method raises `Transient` while the database is away and `Permanent` for what it cannot hold.
    """

    async def lock(self, first: Mapping[UUID, Event]) -> tuple[dict[UUID, Job], set[UUID]]:
        """Hold the rows of jobs to the end of the transaction, making those that are missing.

        Parameters
        ----------
        first
            An event of each job, for its owner and lane.

        Returns
        -------
        tuple
            The jobs that are not erased, and the ids of those that are.
        """
        ...

    async def save(self, jobs: Sequence[Job]) -> None:
        """Write jobs and their translations."""
        ...

    async def add_utterances(self, utterances: Mapping[UUID, Sequence[Utterance]]) -> None:
        """Write what was said in jobs; what is there stays."""
        ...

    async def add_usage(self, events: Sequence[UsageRecorded]) -> None:
        """Write billable acts; each counts once."""
        ...

    async def erase(self, deletes: Mapping[UUID, JobControl]) -> None:
        """Remove every row of jobs, leaving bare ids, and ask for the rest to be swept."""
        ...

    async def sweep_again(self, late: Sequence[Event]) -> None:
        """Ask for erased jobs to be swept once more: an event shows that somebody still worked on them."""
        ...

    async def advance(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note the next offset of partitions (topic, number), beside the rows that came of what is before it."""
        ...


class Projection(Protocol):
    """The projection as a whole; methods raise as those of `Ledger`."""

    def transaction(self) -> AbstractAsyncContextManager[Ledger]:
        """Begin a transaction; committed at the end of the block, undone when it raises."""
        ...

    async def announced(self, events: Sequence[Terminal]) -> None:
        """Note that ends are on the log. A job that was erased meanwhile is swept again."""
        ...

    async def unannounced(self, limit: int) -> list[Job]:
        """Some jobs that have ended and were not announced."""
        ...

    async def to_sweep(self, limit: int) -> list[Sweep]:
        """Some erased jobs that are still to be swept."""
        ...

    async def swept(self, sweep: Sweep) -> None:
        """Note that a sweep is done and proved, unless another was asked for meanwhile."""
        ...


class Accounts(Protocol):
    """Accounts that are erased, and what the pipeline has of them; methods raise as those of `Ledger`."""

    async def to_sweep(self, *, now: datetime, late: bool, limit: int) -> list[ErasedAccount]:
        """Some accounts that are not done.

        Parameters
        ----------
        now
            The time, aware.
        late
            Also those done once of which something came since, and once those asked for a day ago.
        limit
            Most of them.
        """
        ...

    async def jobs_of(self, owner: str, limit: int) -> list[tuple[UUID, Lane]]:
        """Some jobs of an owner, with their lanes."""
        ...

    async def swept_all_jobs(self, owner: str) -> bool:
        """Whether nothing is left to sweep of jobs of an owner that were erased."""
        ...

    async def usage_of(self, owner: str, limit: int) -> list[UUID]:
        """Some billable acts of an owner."""
        ...

    async def drop_usage(self, owner: str, usage: Sequence[UUID]) -> None:
        """Remove and count billable acts."""
        ...

    async def drop_deliveries(self, owner: str) -> DroppedRows:
        """Remove and count webhook deliveries; return what has gone in all."""
        ...

    async def swept(self, owner: str, at: datetime) -> None:
        """Note that nothing is left."""
        ...


class Log(Protocol):
    """The part of the producer that the recorder uses by itself; both are acknowledged when they return."""

    async def publish(self, event: Event) -> None:
        """Publish an event."""
        ...

    async def tombstone(self, topic: str, key: str) -> None:
        """Make a compacted topic forget a key."""
        ...

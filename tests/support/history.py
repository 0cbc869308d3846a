"""What everybody saw during a run under faults: the clients, Postgres, the topics, the receiver, the provider."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from common import topics
from common.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobFailed,
    SegmentReady,
    SegmentTranscribed,
    Terminal,
    TranscriptCompleted,
    UploadReceived,
    UsageRecorded,
)
from support.paid_calls import Call
from support.topiclog import Logged, read_log
from support.verdict import Finding, check

__all__ = ["TERMINAL", "Finding", "History", "Job", "check", "jobs_in", "observe", "statuses_in", "topic_events"]

TERMINAL = (JobCompleted.type, JobFailed.type, JobCancelled.type)
E = TypeVar("E", bound=Event)


@dataclass
class Job:
    """What Postgres says of a job; ``usage`` are its usage rows of recognition, ``billed`` their milliseconds."""

    status: str
    segments: int | None = None
    usage: int = 0
    billed: int = 0
    utterances: list[int] = field(default_factory=list)


@dataclass
class History:
    """The observations of one run; ids are strings, as clients know them.

    ``accepted`` are the ids the gateway answered 202 for; ``jobs`` what is in Postgres; ``log`` the events of the
    run's jobs, oldest first; ``delivered`` the webhook ids a receiver answered 2xx to, with the hashes of their
    bodies, and ``delivered_again`` how many it got again; ``calls`` what a provider was asked.
    """

    accepted: Sequence[str]
    jobs: dict[str, Job]
    log: list[Logged] = field(default_factory=list)
    delivered: dict[str, set[str]] = field(default_factory=dict)
    delivered_again: int = 0
    calls: Sequence[Call] = ()

    @property
    def rows(self) -> dict[str, str]:
        """Each job's status."""
        return {job: found.status for job, found in self.jobs.items()}

    @property
    def usage_rows(self) -> Counter[str]:
        """How many usage rows each job has."""
        return Counter({job: found.usage for job, found in self.jobs.items()})

    def events(self, kind: type[E]) -> Iterator[E]:
        """The events of a class, oldest first, again where they were published again."""
        return (logged.event for logged in self.log if isinstance(logged.event, kind))

    def repeated(self) -> Counter[str]:
        """How often events of each type were published again: each is an input that its reader got again."""
        published = Counter((logged.event.type, logged.event.id) for logged in self.log)
        again: Counter[str] = Counter()
        for (kind, _), number in published.items():
            again[kind] += number - 1
        return +again

    def redelivered(self) -> int:
        """Deliveries that came again, as far as they left a trace: outputs that were repeated, calls that were.

        Less than there were: an event that was in work and not yet answered leaves none when it comes again. One
        segment's two outputs count as one, a job's segments that come again together as one.
        """
        again = self.repeated()
        steps = (UploadReceived.type, SegmentTranscribed.type, TranscriptCompleted.type, *TERMINAL)
        cuts = Counter((event.id, event.job_id) for event in self.events(SegmentReady))
        by_job: dict[UUID, int] = defaultdict(int)
        for (_, job), number in cuts.items():
            by_job[job] = max(by_job[job], number - 1)
        calls = Counter(call.sha256 for call in self.calls)
        return sum(again[kind] for kind in steps) + sum(by_job.values()) + calls.total() - len(calls)


async def statuses_in(dsn: str) -> dict[str, str]:
    """Every job's status by id; cheap, for who looks again and again."""
    connection = await asyncpg.connect(dsn)
    try:
        return {str(row["id"]): row["status"] for row in await connection.fetch("SELECT id, status FROM jobs")}
    finally:
        await connection.close()


async def jobs_in(dsn: str) -> dict[str, Job]:
    """Every job in Postgres by id."""
    connection = await asyncpg.connect(dsn)
    try:
        jobs = {
            str(row["id"]): Job(row["status"], row["segments"])
            for row in await connection.fetch("SELECT id, status, segments FROM jobs")
        }
        for row in await connection.fetch("SELECT job_id, audio_seconds FROM usage WHERE service = 'transcription'"):
            job = jobs.setdefault(str(row["job_id"]), Job("unknown"))
            job.usage += 1
            job.billed += round(row["audio_seconds"] * 1000)
        for row in await connection.fetch("SELECT job_id, index FROM utterances ORDER BY job_id, index"):
            jobs.setdefault(str(row["job_id"]), Job("unknown")).utterances.append(row["index"])
    finally:
        await connection.close()
    return jobs


async def topic_events(bootstrap: str, wanted: Iterable[str]) -> list[Event]:
    """Every event that lies on the topics now, oldest first."""
    return [logged.event for logged in await read_log(bootstrap, wanted)]


async def observe(
    bootstrap: str,
    dsn: str,
    accepted: Sequence[str],
    received: Iterable[Any] = (),
    *,
    before: Collection[str] = (),
    calls: Sequence[Call] = (),
) -> History:
    """Collect what lies in Postgres, on the topics, at the webhook receiver and at the provider.

    ``before`` are ids of jobs that were there before the run: nothing of theirs is looked at.
    """
    jobs = {job: row for job, row in (await jobs_in(dsn)).items() if job not in before}
    kinds = (UploadReceived, SegmentReady, SegmentTranscribed, TranscriptCompleted, UsageRecorded)
    wanted = [*(topic for kind in kinds for topic in topics.names(kind)), *TERMINAL]
    log = [one for one in await read_log(bootstrap, wanted) if str(one.event.job_id) not in before]
    announced = {str(one.event.id) for one in log if isinstance(one.event, Terminal)}
    delivered: dict[str, set[str]] = defaultdict(set)
    again = 0
    for hook in received:
        if hook.id in announced:
            again += hook.id in delivered
            delivered[hook.id].add(hashlib.sha256(hook.body).hexdigest())
    return History(accepted, jobs, log, dict(delivered), again, list(calls))

"""What everybody saw during a run under faults, and what follows from it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from common.bus.follow import read_to_end
from common.events import Event, JobCancelled, JobCompleted, JobFailed, Terminal, UsageRecorded

TERMINAL = (JobCompleted.type, JobFailed.type, JobCancelled.type)


@dataclass
class History:
    """The observations of one run.

    ``accepted`` are the ids the gateway answered 202 for; ``rows`` the jobs in Postgres by id; ``announced`` the
    terminal events on the topics; ``delivered`` the webhook ids a receiver answered 2xx to, with the body's hash.
    """

    accepted: Sequence[str]
    rows: dict[str, str]
    announced: list[Terminal]
    usage_rows: Counter[str]
    usage_events: list[UsageRecorded]
    redelivered: int
    delivered: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What a checker derives: ids that were lost, recorded or announced wrongly, webhooks that were not delivered."""

    lost: list[str]
    unfinished: list[str]
    phantom: list[str]
    two_endings: list[str]
    unannounced: list[str]
    undelivered: list[str]
    two_bodies: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(vars(self).values())


async def rows(dsn: str) -> tuple[dict[str, str], Counter[str]]:
    """Every job's status by id, and how many usage rows each job has."""
    connection = await asyncpg.connect(dsn)
    try:
        jobs = {str(r["id"]): r["status"] for r in await connection.fetch("SELECT id, status FROM jobs")}
        usage = Counter(str(r["job_id"]) for r in await connection.fetch("SELECT job_id FROM usage"))
    finally:
        await connection.close()
    return jobs, usage


async def topic_events(bootstrap: str, topics: Iterable[str]) -> list[Event]:
    """Every event that lies on the topics now."""
    return [followed.event async for followed in read_to_end(bootstrap, list(topics)) if followed.event is not None]


async def observe(bootstrap: str, dsn: str, accepted: Sequence[str], received: Iterable[Any] = ()) -> History:
    """Collect what lies in Postgres, on the topics and at the webhook receiver."""
    jobs, usage_rows = await rows(dsn)
    announced = [e for e in await topic_events(bootstrap, TERMINAL) if isinstance(e, Terminal)]
    usage = [e for e in await topic_events(bootstrap, [UsageRecorded.type]) if isinstance(e, UsageRecorded)]
    transcribed = await topic_events(bootstrap, ["segment.transcribed", "transcript.completed"])
    delivered: dict[str, set[str]] = defaultdict(set)
    for hook in received:
        delivered[hook.id].add(hashlib.sha256(hook.body).hexdigest())
    return History(
        accepted=accepted,
        rows=jobs,
        announced=announced,
        usage_rows=usage_rows,
        usage_events=usage,
        redelivered=len(transcribed) - len({e.id for e in transcribed}),
        delivered=dict(delivered),
    )


def check(history: History) -> Finding:
    """Derive what was lost, doubled or made up; an ending announced again under its own id is allowed."""
    endings: dict[str, set[UUID]] = defaultdict(set)
    for event in history.announced:
        endings[str(event.job_id)].add(event.id)
    accepted = set(history.accepted)
    ended = {"completed", "failed", "cancelled"}
    ids = {str(event_id) for found in endings.values() for event_id in found}
    return Finding(
        lost=sorted(accepted - history.rows.keys()),
        unfinished=sorted(job for job, status in history.rows.items() if status not in ended),
        phantom=sorted(history.rows.keys() - accepted),
        two_endings=sorted(job for job, found in endings.items() if len(found) > 1),
        unannounced=sorted(accepted - endings.keys()),
        undelivered=sorted(ids - history.delivered.keys()) if history.delivered else [],
        two_bodies=sorted(hook for hook, bodies in history.delivered.items() if len(bodies) > 1),
    )

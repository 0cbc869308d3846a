"""What follows from a history: what was lost, doubled, reordered, made up or paid twice; who may have paid twice."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

from common.events import Event, SegmentReady, SegmentTranscribed, Terminal, TranscriptCompleted, UploadReceived
from support.paid_calls import Call

if TYPE_CHECKING:
    from support.history import History, Job

ENDED = frozenset({"completed", "failed", "cancelled"})
STEPS = (UploadReceived, SegmentReady, SegmentTranscribed, TranscriptCompleted, Terminal)
"""What follows from what on the way of a job."""

_BEFORE, _AFTER = 0.5, 1.0


@dataclass(frozen=True)
class Finding:
    """What a checker derives; all empty when nothing is wrong.

    Lost: ``lost`` was accepted and is not in Postgres, ``unfinished`` is there without an ending, ``unannounced`` has
    no terminal event, ``undelivered`` no webhook. Made up: ``phantom``. Doubled: ``two_endings``, ``two_bodies`` of
    one webhook, ``two_contents`` of one event, ``not_one_set`` of segments or utterances, ``misbilled`` jobs whose
    usage rows are not one for each segment or do not add up. ``reordered``: steps before
    what they follow from.
    """

    lost: list[str]
    unfinished: list[str]
    phantom: list[str]
    two_endings: list[str]
    unannounced: list[str]
    undelivered: list[str]
    two_bodies: list[str]
    two_contents: list[str] = field(default_factory=list)
    not_one_set: list[str] = field(default_factory=list)
    misbilled: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(vars(self).values())

    @property
    def missing(self) -> int:
        """How many jobs were lost in some way."""
        return len({*self.lost, *self.unfinished, *self.unannounced}) + len(self.undelivered)

    @property
    def doubled(self) -> int:
        """How many jobs, events and webhooks were there in two ways, or made up."""
        jobs = {*self.phantom, *self.two_endings, *self.not_one_set, *self.misbilled}
        return len(jobs) + len(self.two_bodies) + len(self.two_contents)


def check(history: "History") -> Finding:
    """Derive what was lost, doubled or made up; an event published again under its own id is allowed."""
    endings: dict[str, set[UUID]] = defaultdict(set)
    for event in history.events(Terminal):
        endings[str(event.job_id)].add(event.id)
    segments: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for cut in history.events(SegmentReady):
        segments[str(cut.job_id)][cut.index].add(cut.model_dump_json(exclude={"time"}))
    contents: dict[UUID, set[str]] = defaultdict(set)
    for logged in history.log:
        contents[logged.event.id].add(logged.event.model_dump_json(exclude={"time"}))
    accepted = set(history.accepted)
    ids = {str(event_id) for found in endings.values() for event_id in found}
    completed = {job: row for job, row in history.jobs.items() if row.status == "completed"}
    spoken = {str(event.job_id) for event in history.events(TranscriptCompleted) if event.words}
    on_topics = {str(logged.event.job_id) for logged in history.log}
    return Finding(
        lost=sorted(accepted - history.jobs.keys()),
        unfinished=sorted(job for job, row in history.jobs.items() if row.status not in ENDED),
        phantom=sorted((history.jobs.keys() | on_topics) - accepted),
        two_endings=sorted(job for job, found in endings.items() if len(found) > 1),
        unannounced=sorted(accepted - endings.keys()),
        undelivered=sorted(ids - history.delivered.keys()),
        two_bodies=sorted(hook for hook, bodies in history.delivered.items() if len(bodies) > 1),
        two_contents=sorted(str(event_id) for event_id, found in contents.items() if len(found) > 1),
        not_one_set=sorted(job for job, row in completed.items() if not _one_set(row, segments[job], job in spoken)),
        misbilled=sorted(job for job, row in completed.items() if row.usage != len(segments[job])),
        reordered=_reordered(history),
    )


def billed_milliseconds(history: "History") -> tuple[int, int]:
    """Milliseconds of audio in the usage rows, and in what the provider was asked, each piece once; must be equal."""
    heard = {call.sha256: round(call.seconds * 1000) for call in history.calls}
    return sum(job.billed for job in history.jobs.values()), sum(heard.values())


@dataclass(frozen=True)
class Death:
    """A process that was killed: who, since when it ran, and when it died."""

    member: str
    started: float
    at: float


def paid_twice(calls: Iterable[Call]) -> dict[str, list[Call]]:
    """The calls of each audio that was paid for more than once."""
    made: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.outcome != "refused":
            made[call.sha256].append(call)
    return {sha: found for sha, found in made.items() if len(found) > 1}


def unexplained(calls: Iterable[Call], deaths: Sequence[Death]) -> dict[str, list[Call]]:
    """Audio that was paid for again although the payer before was not killed between its call and its result.

    A killed payer's call may reach the provider a moment later, and a result is stored a moment after its answer.
    """

    def excused(call: Call) -> bool:
        return any(
            death.member == call.payer
            and death.started <= call.started
            and call.started - _BEFORE <= death.at <= (call.ended or death.at) + _AFTER
            for death in deaths
        )

    return {
        sha: found
        for sha, found in paid_twice(calls).items()
        if not all(excused(call) for call in sorted(found, key=lambda call: call.started)[:-1])
    }


def _one_set(row: "Job", segments: Mapping[int, Collection[str]], spoken: bool) -> bool:
    return (
        bool(segments)
        and sorted(segments) == list(range(row.segments or 0))
        and all(len(contents) == 1 for contents in segments.values())
        and row.utterances == list(range(len(row.utterances)))
        and bool(row.utterances) == spoken
    )


def _reordered(history: "History") -> list[str]:
    """Which step of which job lies on its topic before the first of what it follows from."""
    first: dict[str, dict[type[Event], float]] = defaultdict(dict)
    for logged in history.log:
        step = next((step for step in STEPS if isinstance(logged.event, step)), None)
        if step is not None:
            first[str(logged.event.job_id)].setdefault(step, logged.at)
    found = []
    for job, steps in first.items():
        had = [step for step in STEPS if step in steps]
        # The order of the log's clock, which every producer here shares, is to the millisecond.
        found += [
            f"{job}: {after.__name__} before {before.__name__}"
            for before, after in pairwise(had)
            if steps[after] < steps[before]
        ]
    return sorted(found)

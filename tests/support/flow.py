"""When each piece of work went into a stage and came out of it, by partition: stalls, and who took over when."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from common.events import Event, SegmentReady, SegmentTranscribed, Terminal, TranscriptCompleted, UploadReceived
from support.topiclog import Logged

Place = tuple[str, str, int]
"""A stage, and the topic and partition it reads."""

LATE = 5.0
"""Seconds after a death within which work that arrives waits for a new holder: Kafka gives a dead one 6 s."""


@dataclass(frozen=True, slots=True)
class Item:
    """One event that a stage got, from its first publication to that of what it became; times are ``time.time()``."""

    place: Place
    entered: float
    left: float


def items(log: Iterable[Logged]) -> list[Item]:
    """What went through transcoding, recognition, assembly and recording; what has not come out is left out.

    ``log`` is oldest first. A job is assembled when the last of its results has come.
    """
    first: dict[type[Event], dict[object, Logged]] = defaultdict(dict)
    for logged in log:
        event = logged.event
        kind = Terminal if isinstance(event, Terminal) else type(event)
        part = (event.job_id, event.part) if isinstance(event, SegmentReady | SegmentTranscribed) else event.job_id
        first[kind].setdefault(part, logged)
    by_job: dict[type[Event], dict[object, list[Logged]]] = defaultdict(lambda: defaultdict(list))
    for kind in (SegmentReady, SegmentTranscribed):
        for logged in first[kind].values():
            by_job[kind][logged.event.job_id].append(logged)
    cut = {job: found[0] for job, found in by_job[SegmentReady].items()}
    heard = {job: found[-1] for job, found in by_job[SegmentTranscribed].items()}
    return [
        *_through("transcode", first[UploadReceived], cut),
        *_through("recognise", first[SegmentReady], first[SegmentTranscribed]),
        *_through("assemble", heard, first[TranscriptCompleted]),
        *_through("record", first[TranscriptCompleted], first[Terminal]),
    ]


def inside(found: Iterable[Item], stages: Collection[str], at: float) -> int:
    """How much some stages had before them or in work at a moment."""
    return sum(item.place[0] in stages and item.entered <= at < item.left for item in found)


def stalls(found: Iterable[Item]) -> dict[Place, float]:
    """The longest time in which a stage had work in a partition and none came out of it, in seconds."""
    changes: dict[Place, list[tuple[float, int]]] = defaultdict(list)
    for item in found:
        changes[item.place] += [(item.entered, 1), (item.left, -1)]
    return {place: _longest(sorted(moments, key=lambda one: (one[0], -one[1]))) for place, moments in changes.items()}


def resumed(found: Iterable[Item], place: Place, died: float, deaths: Collection[float] = ()) -> float | None:
    """Seconds from its holder's death to the first that came out of a partition; None where nothing arrived in it.

    Only of what arrived after the death: what was in work then waits for a lease to lapse, which is another matter. So
    does what the next holder had in work when it was killed itself: None as well where that may be what was seen.

    Parameters
    ----------
    found
        From `items`.
    place
        The stage and the partition.
    died
        When its holder was killed.
    deaths
        When processes of that service were killed, this one among them.
    """
    arrived = [item for item in found if item.place == place and died < item.entered]
    if not any(item.entered <= died + LATE for item in arrived):
        return None
    resumed_at = min(item.left for item in arrived)
    return None if any(died < other < resumed_at for other in deaths) else resumed_at - died


def _through(stage: str, entered: dict[object, Logged], left: dict[object, Logged]) -> list[Item]:
    return [
        # A job whose results are all stored may be assembled before the last of their events is on its topic.
        Item((stage, logged.topic, logged.partition), min(logged.at, left[part].at), left[part].at)
        for part, logged in entered.items()
        if part in left
    ]


def _longest(moments: list[tuple[float, int]]) -> float:
    inside, since, longest = 0, 0.0, 0.0
    for at, change in moments:
        if change > 0:
            since = at if inside == 0 else since
        else:
            longest, since = max(longest, at - since), at
        inside += change
    return longest

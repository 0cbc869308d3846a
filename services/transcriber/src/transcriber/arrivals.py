"""Which of a job's results are there: a hint that is kept cheap, never a state that must be right.

The store decides. A result that was once there stays there, so what was seen needs no second look; a job that is
forgotten, or was another process's until now, is looked at from its start. That is at most one look for each segment
and one for each event.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from common import layout
from common.blobs import Blobs
from common.events import SegmentTranscribed

KEPT = 2_000
"""Jobs whose hints are kept."""

REPORT_EVERY = 1.0
"""Seconds between two reports of a job's progress."""


class Arrival:
    """What is known of one job.

    ``finished_by`` is the segment whose event had the job complete in this process: only its redelivery announces the
    transcript again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.finished_by: int | None = None
        self._next = 0
        self._beyond: set[int] = set()
        self._clock = clock
        self._reported = float("-inf")

    @property
    def done(self) -> int:
        """How many results are known to be there."""
        return self._next + len(self._beyond)

    async def complete(self, event: SegmentTranscribed, blobs: Blobs) -> bool:
        """Take note of a result, and look whether all are there."""
        if event.index >= self._next:
            self._beyond.add(event.index)
        while self._next < event.count and await self._there(self._next, event, blobs):
            self._beyond.discard(self._next)
            self._next += 1
        return self._next >= event.count

    async def _there(self, index: int, event: SegmentTranscribed, blobs: Blobs) -> bool:
        if index in self._beyond:
            return True
        return await blobs.stat(layout.segment_result(event.owner, event.job_id, index)) is not None

    def report_due(self) -> bool:
        """Whether a second has passed since the last report; then the next second begins."""
        at = self._clock()
        if at - self._reported < REPORT_EVERY:
            return False
        self._reported = at
        return True


class Arrivals:
    """The jobs worked on lately; the oldest are forgotten."""

    def __init__(self, *, kept: int = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept = kept
        self._clock = clock
        self._jobs: OrderedDict[UUID, Arrival] = OrderedDict()

    def of(self, job: UUID) -> Arrival:
        """What is known of a job."""
        arrival = self._jobs.setdefault(job, Arrival(self._clock))
        self._jobs.move_to_end(job)
        while len(self._jobs) > self._kept:
            self._jobs.popitem(last=False)
        return arrival

"""Jobs this gateway accepted a moment ago, for when their row is not there yet."""

from collections import OrderedDict
from uuid import UUID

from gateway.models import Job


class Accepted:
    """The last jobs accepted, by owner and id; the oldest are forgotten first.

    Parameters
    ----------
    most
        Jobs held.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._jobs: OrderedDict[UUID, tuple[str, Job]] = OrderedDict()

    def add(self, owner: str, job: Job) -> None:
        """Remember a job as it is now."""
        self._jobs[job.id] = (owner, job)
        self._jobs.move_to_end(job.id)
        while len(self._jobs) > self._most:
            self._jobs.popitem(last=False)

    def get(self, owner: str, job: UUID) -> Job | None:
        """The job, if it is remembered and the owner's."""
        found = self._jobs.get(job)
        return found[1] if found is not None and found[0] == owner else None

    def forget(self, job: UUID) -> None:
        """Drop a job; harmless when it is not held."""
        self._jobs.pop(job, None)

"""Leases in memory, for tests of the bus; they keep the same contract as the real ones."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from common.blobs import BlobsUnavailable
from common.leases import Lease


@dataclass(frozen=True)
class _Entry:
    token: str
    takeovers: int
    alone: int
    buried: str | None
    beat: float


class MemoryLeases:
    """Leases that end with the process.

    Set ``down`` to True and every method raises `BlobsUnavailable`, until it is False again.

    Parameters
    ----------
    ttl
        Seconds after which a lease without a heartbeat has lapsed.
    clock
        The store's time in seconds.
    """

    def __init__(self, ttl: float = 30.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.down = False
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    async def acquire(self, name: str) -> Lease | None:
        """Take a lease that is free or has lapsed; None while somebody else's is alive."""
        self._up()
        now = self._clock()
        found = self._entries.get(name)
        if found is None:
            taken = _Entry(uuid4().hex, 0, alone=0, buried=None, beat=now)
        elif found.token and now - found.beat <= self._ttl:
            return None
        else:
            takeovers = found.takeovers + bool(found.token)
            taken = replace(found, token=uuid4().hex, takeovers=takeovers, beat=now)
        self._entries[name] = taken
        return Lease(name, taken.token, taken.takeovers, taken.alone, taken.buried)

    async def renew(self, lease: Lease, *, alone: bool = False) -> bool:
        """Heartbeat; False when the lease was lost."""
        self._up()
        found = self._entries.get(lease.name)
        if found is None or found.token != lease.token:
            return False
        self._entries[lease.name] = replace(found, beat=self._clock(), alone=lease.alone + 1 if alone else found.alone)
        return True

    async def release(self, lease: Lease) -> None:
        """Give the lease up and forget its take-overs; harmless when it was lost."""
        self._up()
        found = self._entries.get(lease.name)
        if found is not None and found.token == lease.token:
            del self._entries[lease.name]

    async def bury(self, lease: Lease, life: str) -> None:
        """Give the lease up and remember that the work was put aside; harmless when it was lost."""
        self._up()
        found = self._entries.get(lease.name)
        if found is not None and found.token == lease.token:
            self._entries[lease.name] = _Entry("", 0, alone=0, buried=life, beat=self._clock())

    def _up(self) -> None:
        if self.down:
            msg = "the memory store was told to be down"
            raise BlobsUnavailable(msg)

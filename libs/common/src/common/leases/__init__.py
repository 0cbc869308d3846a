"""The port to leases: the right to do one event's work, kept alive by heartbeats."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Lease:
    """A lease that is held.

    ``takeovers`` counts how often the work was taken over from a holder that fell silent; ``alone`` how
    many of those holders were running it alone; ``buried`` names the life of the work that was put aside, if one was.
    """

    name: str
    token: str
    takeovers: int = 0
    alone: int = 0
    buried: str | None = None


class Leases(Protocol):
    """Leases by name with a time to live; the clock is the store's. Methods may raise `BlobsUnavailable`."""

    async def acquire(self, name: str) -> Lease | None:
        """Take a lease that is free or has lapsed; None while somebody else's is alive."""
        ...

    async def renew(self, lease: Lease, *, alone: bool = False) -> bool:
        """Heartbeat; False when the lease was lost. ``alone`` counts that the work now runs alone, before it starts."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease up and forget all that it said; harmless when it was lost."""
        ...

    async def bury(self, lease: Lease, life: str) -> None:
        """Give the lease up and remember, for a day at least, that the work was put aside; harmless when it was lost.

        Whoever takes the lease next finds ``life`` in its ``buried``, and no take-overs. ``life`` is at most 32 ASCII
        characters.
        """
        ...

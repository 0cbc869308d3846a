"""A lease in the bus's hands: kept alive by heartbeats, and given back once, in the way that fits what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from common.blobs import BlobsUnavailable
from common.bus.crew import dismiss
from common.leases import Lease, Leases

log = structlog.get_logger(__name__)

_MARK_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each attempt to mark a lease."""


class Hold:
    """Beats a lease from its making until `give_back`, which does what was said last: `release`, if nothing was."""

    def __init__(self, leases: Leases, lease: Lease, beat_seconds: float) -> None:
        self._leases = leases
        self._lease = lease
        self._beat_seconds = beat_seconds
        self._let_go: Callable[[], Awaitable[None]] | None
        self.release()
        self._beating = asyncio.create_task(self._beat())

    async def mark_alone(self) -> bool:
        """Say that the work now runs alone; False when the lease was lost, or the store does not answer."""
        for pause in _MARK_PAUSES:
            await asyncio.sleep(pause)
            # Where only the answer was lost, it would count a run that never was.
            with suppress(BlobsUnavailable):
                return await self._leases.renew(self._lease, alone=True)
        return False

    def release(self) -> None:
        """Give it back as free, with nothing known of it."""
        self._let_go = partial(self._leases.release, self._lease)

    def let_lapse(self) -> None:
        """Do not give it back, so that whoever takes it over knows what this holder knew."""
        self._let_go = None

    def bury(self, life: str) -> None:
        """Give it back as one whose work was put aside."""
        self._let_go = partial(self._leases.bury, self._lease, life)

    async def give_back(self) -> None:
        """Let go of it; nothing the second time."""
        await dismiss(self._beating)
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            await asyncio.shield(_quietly(let_go, self._lease))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            try:
                if not await self._leases.renew(self._lease):
                    # Results are write-once, so the work goes on: whoever is second finds the first one's.
                    log.warning("lease lost", lease=self._lease.name)
                    return
            except BlobsUnavailable:
                log.warning("lease not renewed, will try again", lease=self._lease.name)


async def _quietly(let_go: Callable[[], Awaitable[None]], lease: Lease) -> None:
    try:
        await let_go()
    except BlobsUnavailable:
        log.warning("lease not given back, it will lapse", lease=lease.name)

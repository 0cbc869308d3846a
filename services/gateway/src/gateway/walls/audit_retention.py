"""How long the audit log is kept: its lines go by their age alone, whoever they are about."""

import asyncio
from datetime import timedelta

import structlog

from gateway.database import StoreUnavailable
from gateway.walls.store import WallsStore

log = structlog.get_logger(__name__)

PAGE = 1000
"""Lines forgotten in one statement: no connection is held for long, and no lock."""


class AuditRetention:
    """Forgets lines whose time is over; several gateways may, and each takes other lines.

    The clock is PostgreSQL's, so a gateway whose clock is wrong forgets nothing too early.

    Parameters
    ----------
    store
        Where the lines are.
    keep
        Age at which a line goes; None keeps them for ever.
    """

    def __init__(self, store: WallsStore, *, keep: timedelta | None) -> None:
        self._store = store
        self._keep = keep

    async def once(self) -> int:
        """Forget all that is due; return how many lines that were."""
        gone = 0
        while self._keep is not None:
            some = await self._store.forget_lines(self._keep, PAGE)
            gone += some
            if some < PAGE:
                break
        return gone

    async def run(self, every: timedelta) -> None:
        """Forget again and again until cancelled; what is away is left for the next time."""
        while True:
            try:
                if gone := await self.once():
                    log.info("audit_forgotten", lines=gone)
            except StoreUnavailable:
                log.warning("audit_retention_put_off")
            except Exception:
                log.exception("audit_retention_failed")
            await asyncio.sleep(every.total_seconds())

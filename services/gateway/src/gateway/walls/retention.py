"""Erasing jobs whose time is over, as their owner would by DELETE: by the same word on the log."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from common.bus.control import ControlLog
from common.bus.producer import Producer
from common.events import JobControl
from gateway.database import StoreUnavailable
from gateway.store import Store
from gateway.walls.gate import Gate
from gateway.walls.store import WallsStore

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Jobs asked to be erased together: each is blobs, rows and tombstones for the recorder."""


class Retention:
    """Asks for the erasure of what is due; several gateways may, and one at a time does.

    What is due is said by PostgreSQL's clock, so a gateway whose clock is wrong erases nothing too early.

    Parameters
    ----------
    pause
        Seconds between two lots of `AT_ONCE`, so that users' jobs go on beside it.
    """

    def __init__(
        self,
        *,
        store: Store,
        walls: WallsStore,
        gate: Gate,
        control: ControlLog,
        producer: Producer,
        pause: float = 5.0,
    ) -> None:
        self._store = store
        self._walls = walls
        self._gate = gate
        self._control = control
        self._producer = producer
        self._pause = pause

    async def once(self) -> int:
        """Go over all owners; return how many jobs were asked to be erased."""
        asked = 0
        at = await self._walls.time()
        for owner in await self._store.owners():
            days = (await self._gate.terms(owner)).limits.retention_days
            if days is not None:
                asked += await self._of(owner, at - timedelta(days=days))
        return asked

    async def _of(self, owner: str, before: datetime) -> int:
        asked = 0
        place: tuple[datetime, UUID] | None = None
        while True:
            async with self._walls.alone() as alone:
                if not alone:
                    return asked
                due = await self._walls.due(owner, before, place, AT_ONCE)
                fresh = [job for job in due if not self._control.deleted(job.id)]
                if fresh:
                    await self._producer.publish_many(
                        JobControl(job_id=job.id, owner=owner, lane=job.lane, action="delete") for job in fresh
                    )
            asked += len(fresh)
            if len(due) < AT_ONCE:
                return asked
            place = (due[-1].created_at, due[-1].id)
            await asyncio.sleep(self._pause if fresh else 0)

    async def run(self, every: timedelta) -> None:
        """Go over them again and again until cancelled; what is away is left for the next time."""
        while True:
            try:
                if asked := await self.once():
                    log.info("retention_erases", jobs=asked)
            except StoreUnavailable:
                log.warning("retention_put_off")
            except Exception:
                log.exception("retention_failed")
            await asyncio.sleep(every.total_seconds())

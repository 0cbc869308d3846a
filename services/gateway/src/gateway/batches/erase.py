"""Erasing batches: every job of them is deleted, then their rows go; begun anew wherever a crash left off."""

import asyncio
from uuid import UUID

import structlog

from common.bus.producer import Producer
from common.events import JobControl
from gateway.batches.release_store import ReleaseStore
from gateway.batches.work import job_of

log = structlog.get_logger(__name__)

AT_ONCE = 500


class Eraser:
    """Carries out what `BatchStore.delete` and `BatchStore.forget` asked for."""

    def __init__(self, *, store: ReleaseStore, producer: Producer, seconds: float) -> None:
        self._store = store
        self._producer = producer
        self._seconds = seconds

    async def erase_some(self, batch: UUID) -> bool:
        """Delete some of the batch's jobs, each attempt's, and then their items; the batch's row after the last.

        Returns
        -------
        bool
            Whether that was all. It is not while a job is just on its way into the log, for there it can be deleted.

        Raises
        ------
        BusUnavailable, StoreUnavailable
            When a part is away; what is left is done the next time.
        """
        owner = await self._store.owner_of_deleted(batch)
        if await self._store.being_claimed(batch):
            return False
        if owner is not None and (items := await self._store.some_items(batch, AT_ONCE)):
            jobs = [
                job_of(item, attempt)
                for item in items
                # The last attempt has a job only once it was claimed.
                for attempt in range(1, item["attempt"] + (item["job_id"] is not None))
            ]
            await asyncio.gather(*(self._delete(owner, job) for job in jobs))
            await self._store.drop_items(batch, items[-1]["line"])
            return False
        await self._store.drop_batch(batch)
        log.info("batch_erased", batch_id=str(batch))
        return True

    async def _delete(self, owner: str, job: UUID) -> None:
        control = JobControl(job_id=job, owner=owner, lane="bulk", action="delete")
        await self._producer.publish(control, timeout=self._seconds)

"""Erasing batches: every job of them is deleted, then their rows go; begun anew wherever a crash left off."""

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

    async def erase(self, batch: UUID) -> bool:
        """Delete the batch's jobs, each attempt's, and then its rows.

        Returns
        -------
        bool
            False when that must wait: a job is just on its way into the log, and can be deleted once it is there.

        Raises
        ------
        BusUnavailable, StoreUnavailable
            When a part is away; what is left is done the next time.
        """
        owner = await self._store.owner_of_deleted(batch)
        if await self._store.being_claimed(batch):
            return False
        while owner is not None and (items := await self._store.some_items(batch, AT_ONCE)):
            jobs = [
                job_of(item, attempt)
                for item in items
                # The last attempt has a job only once it was claimed.
                for attempt in range(1, item["attempt"] + (item["job_id"] is not None))
            ]
            for job in jobs:
                await self._producer.publish(
                    JobControl(job_id=job, owner=owner, lane="bulk", action="delete"), timeout=self._seconds
                )
            await self._store.drop_items(batch, items[-1]["line"])
        await self._store.drop_batch(batch)
        log.info("batch_erased", batch_id=str(batch))
        return True

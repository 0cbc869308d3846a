"""The room of batches, joined: its handlers, and what runs beside them."""

from collections.abc import Mapping

import asyncpg

from common.blobs import Blobs
from common.bus.producer import Producer
from common.events import Event
from gateway.acceptance import Acceptance
from gateway.batches.accept import Acceptor
from gateway.batches.api import BatchesApi
from gateway.batches.erase import Eraser
from gateway.batches.ports import Addresses, Crypt, Uploads
from gateway.batches.release import Releaser
from gateway.batches.release_store import ReleaseStore
from gateway.batches.store import BatchStore
from gateway.batches.submit import SubmitBatch
from gateway.database import Database
from gateway.problems import Handler
from gateway.settings import GatewaySettings
from gateway.walls.gate import Gate

_SECONDS = 20.0
"""Longest wait for one answer of PostgreSQL: a hundred thousand rows at once take longer than one job's."""


class BatchesRoom:
    """What the gateway joins to its application: `handlers`, `see` for every live event, and `run`."""

    def __init__(
        self,
        *,
        pool: asyncpg.Pool,
        producer: Producer,
        blobs: Blobs,
        acceptance: Acceptance,
        addresses: Addresses,
        uploads: Uploads,
        crypt: Crypt,
        gate: Gate,
        settings: GatewaySettings,
    ) -> None:
        database = Database(pool, seconds=max(_SECONDS, settings.store_seconds))
        store, releases = BatchStore(database), ReleaseStore(database)
        eraser = Eraser(store=releases, producer=producer, seconds=settings.publish_seconds)
        acceptor = Acceptor(acceptance=acceptance, addresses=addresses, uploads=uploads, crypt=crypt)
        self._releaser = Releaser(
            store=releases, acceptor=acceptor, eraser=eraser, gate=gate, producer=producer, settings=settings
        )
        submit = SubmitBatch(
            store=store,
            eraser=eraser,
            acceptance=acceptance,
            blobs=blobs,
            crypt=crypt,
            wake=self._releaser.wake,
            settings=settings,
        )
        api = BatchesApi(store=store, releaser=self._releaser)
        self.handlers: Mapping[str, Handler] = {
            "submit_batch": submit,
            "list_batches": api.list,
            "get_batch": api.get,
            "list_batch_items": api.items,
            "get_batch_report": api.report,
            "retry_batch": api.retry,
            "cancel_batch": api.cancel,
            "delete_batch": api.delete,
        }

    def see(self, event: Event) -> None:
        """Hear of every live event."""
        self._releaser.see(event)

    async def run(self) -> None:
        """Release items until cancelled."""
        await self._releaser.run()

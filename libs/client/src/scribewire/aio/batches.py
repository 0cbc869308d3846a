"""Batches, asynchronous."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from scribewire.aio.calling import AsyncCalling
from scribewire.models import Batch, BatchItem
from scribewire.verbs import batches
from scribewire.verbs.batches import Manifest
from scribewire.verbs.jobs import Sent, nothing


class AsyncBatches(AsyncCalling):
    """Many items in one manifest."""

    async def submit_batch(
        self,
        manifest: Path | bytes,
        *,
        kind: Manifest | None = None,
        options: Mapping[str, Any] | None = None,
        strict: bool = False,
        idempotency_key: str | None = None,
        sent: Sent = nothing,
    ) -> Batch:
        """Send a manifest, streamed; repeating after a failure is safe because of the key.

        Parameters
        ----------
        manifest
            Lines of ``{"url" | "blob" | "upload", "options", "reference"}``, or a CSV table of these columns.
        kind
            By default what the name or the first letter says.
        options
            Names and values of `JobOptions` for every item; a line's own come before.
        strict
            Refuse the whole manifest when one line is bad; otherwise bad lines are reported as failed items.
        idempotency_key
            The same key and manifest give the same batch; by default a fresh one for this call.
        """
        call = batches.submit(
            self._caller,
            manifest,
            kind=kind,
            options=options,
            strict=strict,
            idempotency_key=idempotency_key,
            sent=sent,
        )
        return await self._run(call)

    async def submit_prefix(
        self,
        prefix: str,
        *,
        options: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Make every blob below a prefix an item of a new batch."""
        return await self._run(batches.submit_prefix(self._caller, prefix, options, idempotency_key))

    def batches(self) -> AsyncIterator[Batch]:
        """Every batch, newest first, page by page as they are asked for."""
        return self._pages(lambda cursor: batches.page(self._caller, cursor), "batches")

    async def batch(self, batch_id: str) -> Batch:
        """Show a batch and how far it is."""
        return await self._run(batches.show(self._caller, batch_id))

    def batch_items(self, batch_id: str, *, status: str | None = None) -> AsyncIterator[BatchItem]:
        """Every item of a batch, page by page as they are asked for."""
        return self._pages(lambda cursor: batches.items(self._caller, batch_id, status=status, cursor=cursor), "items")

    async def retry_batch(self, batch_id: str) -> Batch:
        """Try what failed again, and only that."""
        return await self._run(batches.retry(self._caller, batch_id))

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Cancel what has not ended."""
        return await self._run(batches.cancel(self._caller, batch_id))

    async def batch_report(self, batch_id: str, into: BinaryIO) -> None:
        """Write every item and its outcome as CSV, streamed."""
        await self._run(batches.report(self._caller, batch_id, into))

    async def delete_batch(self, batch_id: str) -> None:
        """Stop a batch and erase everything of it, its jobs included."""
        await self._run(batches.delete(self._caller, batch_id))

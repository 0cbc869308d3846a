"""Leases in Azure Blob Storage: the native lease of a small blob, whose metadata counts the take-overs."""

import hashlib
import math
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import uuid4

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobClient, BlobLeaseClient

from common.blobs.azerrors import TAKEN, code_of, is_absent, unavailable_on_azure_error
from common.blobs.azure_client import container_client, make_container
from common.leases import Lease

SHORTEST, LONGEST = 15, 60
"""Seconds that Azure allows a lease to live."""

_PREFIX = ".leases/"
_FREE = {"held": "no", "takeovers": "0", "alone": "0"}
_HELD = frozenset({"LeaseAlreadyPresent", "LeaseIdMissing"})
_LOST = frozenset({
    "LeaseIdMismatchWithLeaseOperation",
    "LeaseIdMismatchWithBlobOperation",
    "LeaseIsBreakingAndCannotBeAcquired",
    "LeaseIsBrokenAndCannotBeRenewed",
    "LeaseLost",
    "LeaseNotPresentWithBlobOperation",
    "LeaseNotPresentWithLeaseOperation",
})  # fmt: skip


class AzureLeases:
    """Leases that Azure keeps, counts down and hands out; used as an asynchronous context manager.

    The lease blob lies under ``.leases/`` in the blobs' container and exists while work is under way: its metadata
    says that it was held, how often it was taken over, and how often it ran alone. One that is there, held and no
    longer leased was left by a holder that fell silent. One that is not held says what was put aside.

    Parameters
    ----------
    connection
        Connection string of the account.
    container
        Made when it is missing and the connection may do so.
    ttl
        Seconds after which a lease without a heartbeat has lapsed: at most 60; less than 15 becomes 15.

    Raises
    ------
    ValueError
        ``ttl`` is longer than Azure allows.
    """

    def __init__(self, connection: str, container: str, *, ttl: float) -> None:
        if ttl > LONGEST:
            msg = f"Azure's leases live {LONGEST} seconds at most"
            raise ValueError(msg)
        self._ttl = max(SHORTEST, math.ceil(ttl))
        self._container = container_client(connection, container)

    async def __aenter__(self) -> Self:
        """Open it; succeeds while Azure is down."""
        await make_container(self._container)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self._container.close()

    async def acquire(self, name: str) -> Lease | None:
        """Take a lease that is free or has lapsed; None while somebody else's is alive."""
        blob, token = self._blob(name), str(uuid4())
        with unavailable_on_azure_error():
            while True:
                fresh = await self._make(blob)
                try:
                    await BlobLeaseClient(blob, token).acquire(self._ttl)
                except HttpResponseError as error:
                    if code_of(error) in _HELD | _LOST:
                        return None
                    if not is_absent(error):  # absent: it was released since we looked
                        raise
                    continue
                before = _FREE if fresh else (await blob.get_blob_properties(lease=token)).metadata
                takeovers = int(before["takeovers"]) + (before["held"] == "yes")
                lease = Lease(name, token, takeovers, _times(before["alone"]), before.get("buried"))
                await self._mark(blob, lease)
                return lease

    async def renew(self, lease: Lease, *, alone: bool = False) -> bool:
        """Heartbeat; False when the lease was lost. ``alone`` counts until the lease is released."""
        blob = self._blob(lease.name)
        with unavailable_on_azure_error():
            try:
                await BlobLeaseClient(blob, lease.token).renew()
                if alone:
                    await self._mark(blob, replace(lease, alone=lease.alone + 1))
            except HttpResponseError as error:
                if is_absent(error) or code_of(error) in _LOST | _HELD:
                    return False
                raise
        return True

    async def release(self, lease: Lease) -> None:
        """Give the lease up and forget its take-overs; harmless when it was lost."""
        with unavailable_on_azure_error():
            try:
                await self._blob(lease.name).delete_blob(lease=lease.token)
            except HttpResponseError as error:
                if not is_absent(error) and code_of(error) not in _LOST | _HELD:
                    raise

    async def bury(self, lease: Lease, life: str) -> None:
        """Give the lease up and remember that the work was put aside; harmless when it was lost."""
        blob = self._blob(lease.name)
        held = BlobLeaseClient(blob, lease.token)
        with unavailable_on_azure_error():
            try:
                await held.renew()  # it may have lapsed, and Azure writes only under a lease that lives
                await blob.set_blob_metadata(_FREE | {"buried": life}, lease=lease.token)
                await held.release()
            except HttpResponseError as error:
                if not is_absent(error) and code_of(error) not in _LOST | _HELD:
                    raise

    async def sweep(self, older_than: float = 86_400.0) -> int:
        """Forget leases whose events never came back, and what was put aside.

        Parameters
        ----------
        older_than
            Seconds since the work was last taken on or put aside; a lease that is alive is left alone.

        Returns
        -------
        int
            How many were removed.
        """
        swept = 0
        limit = datetime.now(UTC) - timedelta(seconds=older_than)
        with unavailable_on_azure_error():
            async for found in self._container.list_blobs(name_starts_with=_PREFIX):
                if found.last_modified < limit:
                    with suppress(HttpResponseError):  # it is leased, or gone
                        await self._container.get_blob_client(found.name).delete_blob()
                        swept += 1
        return swept

    def _blob(self, name: str) -> BlobClient:
        return self._container.get_blob_client(_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:40])

    async def _make(self, blob: BlobClient) -> bool:
        """Make the lease blob; False when it was there."""
        try:
            await blob.upload_blob(b"", metadata=_FREE)
        except HttpResponseError as error:
            if code_of(error) in TAKEN | _HELD:
                return False
            raise
        return True

    async def _mark(self, blob: BlobClient, lease: Lease) -> None:
        metadata = {"held": "yes", "takeovers": str(lease.takeovers), "alone": str(lease.alone)}
        if lease.buried is not None:
            metadata["buried"] = lease.buried
        await blob.set_blob_metadata(metadata, lease=lease.token)


def _times(said: str) -> int:
    """A count; ``no`` and ``yes`` stood there before it was one, and a service of that time may still write them."""
    return {"no": 0, "yes": 1}[said] if said in {"no", "yes"} else int(said)

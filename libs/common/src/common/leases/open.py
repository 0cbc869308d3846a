"""The leases that lie beside the blob store a setting names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from common.blobs import BlobsUnavailable
from common.blobs.open import azure_connection, folder_of
from common.blobs.threads import in_thread
from common.leases import Leases
from common.leases.folder import FolderLeases
from common.settings import CommonSettings


@asynccontextmanager
async def open_leases(settings: CommonSettings) -> AsyncIterator[Leases]:
    """Open the leases: ``.leases`` in the blobs' folder or container, where no blob can be called that.

    Opening succeeds while the store is down: its methods then say `BlobsUnavailable`.

    Raises
    ------
    ValueError
        The setting is neither ``file:///folder`` nor ``azure`` with a connection string.
    """
    if settings.blobs == "azure":
        from common.leases.azure import AzureLeases  # noqa: PLC0415 - a folder needs none of Azure's packages

        async with AzureLeases(azure_connection(settings), settings.azure_container, ttl=settings.lease_ttl) as azure:
            with suppress(BlobsUnavailable):
                await azure.sweep()
            yield azure
        return
    root = folder_of(settings)
    leases = FolderLeases(root / ".leases", ttl=settings.lease_ttl)
    with suppress(OSError):
        await in_thread(root.mkdir, mode=0o700, parents=True, exist_ok=True)
        await in_thread(leases.sweep)
    yield leases

"""The blob store a setting names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.blobs import Blobs, BlobsUnavailable
from common.blobs.folder import FolderBlobs
from common.blobs.threads import in_thread
from common.settings import CommonSettings


@asynccontextmanager
async def open_blobs(settings: CommonSettings) -> AsyncIterator[Blobs]:
    """Open the store; a folder is made when it is missing, and what crashed writers left behind is swept.

    Opening succeeds while the store is down: its methods then say `BlobsUnavailable`.

    Raises
    ------
    ValueError
        The setting is neither ``file:///folder`` nor ``azure`` with a connection string.
    """
    if settings.blobs == "azure":
        from common.blobs.azure import AzureBlobs  # noqa: PLC0415 - a folder needs none of Azure's packages

        async with AzureBlobs(azure_connection(settings), settings.azure_container) as azure:
            with suppress(BlobsUnavailable):
                await azure.sweep()
            yield azure
        return
    root = folder_of(settings)
    blobs = FolderBlobs(root)
    with suppress(OSError):
        await in_thread(root.mkdir, mode=0o700, parents=True, exist_ok=True)
        await in_thread(blobs.sweep)
    yield blobs


def folder_of(settings: CommonSettings) -> Path:
    """The folder of a ``file:///folder`` setting."""
    address = urlsplit(settings.blobs)
    path = Path(unquote(address.path))
    if address.scheme != "file" or address.netloc not in {"", "localhost"} or not path.is_absolute():
        msg = "SCRIBEWIRE_BLOBS is file:///an/absolute/folder or azure"
        raise ValueError(msg)
    return path


def azure_connection(settings: CommonSettings) -> str:
    """The connection string that ``azure`` needs."""
    if settings.azure_blob_connection is None:
        msg = "SCRIBEWIRE_BLOBS=azure needs AZURE_BLOB_CONNECTION"
        raise ValueError(msg)
    return settings.azure_blob_connection.get_secret_value()

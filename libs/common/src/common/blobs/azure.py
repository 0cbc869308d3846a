"""Blobs in Azure Blob Storage: block blobs that are committed whole, only if nothing has their name."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient

from common.blobs import BlobInfo, BlobNotFound, Chunks, Name, OtherSize
from common.blobs.azerrors import is_absent, unavailable_on_azure_error
from common.blobs.azure_client import container_client, make_container
from common.blobs.azure_gather import BLOCK, GATHERING, AzureGathering
from common.blobs.azure_once import copy_if_absent, create_once, is_whole
from common.blobs.names import check_name, check_prefix
from common.blobs.threads import in_thread

_PUT = 8 * 1024 * 1024
_CHUNK = 1024 * 1024
_INCOMING = ".incoming/"
_GATHERING_DAYS = 8
"""Azure forgets blocks a week after the last one came; then what lies beside them is of no use."""


class AzureBlobs:
    """Write-once blobs in a container; used as an asynchronous context manager.

    A stream is staged as uncommitted blocks, which Azure forgets within a week, and becomes visible with one
    conditional commit. A name that is known only afterwards costs a copy inside the account. The writer's mark in the
    metadata tells a repeated request, whose first answer was lost, from somebody else's write.

    Parameters
    ----------
    connection
        Connection string of the account.
    container
        Made when it is missing and the connection may do so.
    """

    def __init__(self, connection: str, container: str) -> None:
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

    async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
        """Store the bytes under a name if nothing is there; see `common.blobs.Blobs.write`."""
        if isinstance(name, str):
            check_name(name)
        if isinstance(chunks, bytes):
            final = check_name(name if isinstance(name, str) else name())
            return await self._put(final, chunks) if len(chunks) <= _PUT else await self._stage(final, _slices(chunks))
        if isinstance(name, str):
            return await self._stage(name, chunks)
        staged = self._blob(_INCOMING + uuid4().hex)
        try:
            await self._stage(staged.blob_name, chunks)
            final = check_name(name())
            with unavailable_on_azure_error():
                return await copy_if_absent(staged, self._blob(final))
        finally:
            with suppress(AzureError):  # what cannot be removed now is swept later
                await staged.delete_blob()

    async def read(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes from an offset, in chunks of at most 1 MiB."""
        if start < 0:
            msg = "an offset is not negative"
            raise ValueError(msg)
        found = await self.stat(name)
        if found is None:
            raise BlobNotFound(name)
        if start >= found.size:
            return
        with unavailable_on_azure_error(name):
            blocks = (await self._blob(name).download_blob(offset=start)).chunks()
        while True:
            with unavailable_on_azure_error(name):
                block = await anext(blocks, None)
            if block is None:
                return
            for at in range(0, len(block), _CHUNK):
                yield block[at : at + _CHUNK]

    async def stat(self, name: str) -> BlobInfo | None:
        """Size and time of a blob, or None; a copy under way does not count."""
        check_name(name)
        try:
            with unavailable_on_azure_error(name):
                found = await self._blob(name).get_blob_properties()
        except BlobNotFound:
            return None
        return BlobInfo(name, found.size, found.last_modified) if is_whole(found) else None

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Every blob whose name begins with the prefix."""
        found = aiter(self._container.list_blobs(name_starts_with=check_prefix(prefix), include=["copy"]))
        while True:
            with unavailable_on_azure_error():
                blob = await anext(found, None)
            if blob is None:
                return
            if not blob.name.startswith(".") and is_whole(blob):
                yield BlobInfo(blob.name, blob.size, blob.last_modified)

    async def remove(self, prefix: str) -> int:
        """Remove every blob whose name begins with the prefix, which is not empty."""
        if not check_prefix(prefix):
            msg = "removing needs a prefix"
            raise ValueError(msg)
        removed = 0
        for name in await self._gathering(prefix):
            await AzureGathering(self._container, name).forget()
        async for blob in self.list(prefix):
            with unavailable_on_azure_error():
                removed += await self._delete(blob.name)
        return removed

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        """A temporary file with the blob's bytes; it is gone afterwards."""
        with tempfile.NamedTemporaryFile(prefix="scribewire-blob-") as file:
            async for chunk in self.read(name):
                await in_thread(file.write, chunk)
            await in_thread(file.flush)
            yield Path(file.name)

    async def gather(self, name: str, start: int, chunks: Chunks) -> int:
        """Add bytes to what is gathered for a name; see `common.blobs.Blobs.gather`."""
        whole = await self.stat(name)
        if whole is not None:
            raise OtherSize(whole.size)
        gathering = AzureGathering(self._container, name)
        try:
            await gathering.begin(start)
        except OtherSize:
            if (whole := await self.stat(name)) is not None:  # another sealed it meanwhile
                raise OtherSize(whole.size) from None
            raise
        return await gathering.add(chunks)

    async def gathered(self, name: str) -> BlobInfo | None:
        """How many bytes are stored for good of a blob that is being gathered, or is whole."""
        found = await AzureGathering(self._container, check_name(name)).look()
        whole = await self.stat(name)  # looked for last: between the two it may become whole, never the other way
        if whole is not None or found.modified is None:
            return whole
        return BlobInfo(name, found.size, found.modified)

    async def seal(self, name: str, size: int) -> None:
        """Make what was gathered the blob; see `common.blobs.Blobs.seal`."""
        found = await self.gathered(name)
        if found is None:
            raise BlobNotFound(name)
        gathering = AzureGathering(self._container, name)
        if found.size != size:
            raise OtherSize(found.size)
        if await self.stat(name) is not None:
            return await gathering.tidy()
        try:
            await gathering.begin(size)
        except OtherSize:
            whole = await self.stat(name)
            if whole is None or whole.size != size:
                raise
            return await gathering.tidy()  # another sealed it meanwhile, so nothing is gathered any more
        return await gathering.commit()

    async def sweep(self, older_than: float = 86_400.0) -> int:
        """Remove what crashed writers left in ``.incoming/``, by age in seconds; return how many there were."""
        swept = 0
        for prefix, age in ((_INCOMING, timedelta(seconds=older_than)), (GATHERING, timedelta(days=_GATHERING_DAYS))):
            with unavailable_on_azure_error():
                async for blob in self._container.list_blobs(name_starts_with=prefix):
                    if blob.last_modified < datetime.now(UTC) - age:
                        swept += await self._delete(blob.name)
        return swept

    async def _gathering(self, prefix: str) -> set[str]:
        """Names below a prefix for which something is gathered."""
        names: set[str] = set()
        with unavailable_on_azure_error():
            async for blob in self._container.list_blobs(name_starts_with=GATHERING + prefix):
                names.add(blob.name.removeprefix(GATHERING).rpartition("/")[0])
        return {name for name in names if name.startswith(prefix)}

    def _blob(self, name: str) -> BlobClient:
        return self._container.get_blob_client(name)

    async def _delete(self, name: str) -> bool:
        try:
            await self._blob(name).delete_blob(delete_snapshots="include")
        except HttpResponseError as error:
            if is_absent(error):
                return False
            raise
        return True

    async def _put(self, name: str, data: bytes) -> bool:
        writer = uuid4().hex
        with unavailable_on_azure_error():
            try:
                return await create_once(
                    self._blob(name), writer, lambda blob: blob.upload_blob(data, metadata={"writer": writer})
                )
            except ResourceNotFoundError:
                pass  # in the way are the blocks of a stream that never ended; a commit goes past them
        return await self._stage(name, _slices(data))

    async def _stage(self, name: str, chunks: Chunks) -> bool:
        blob, writer = self._blob(name), uuid4().hex
        staged: list[BlobBlock] = []

        async def stage(block: bytearray) -> None:
            # Ids are the writer's own, so that two writers of one name cannot mix their blocks.
            number = BlobBlock(block_id=f"{writer}-{len(staged):06d}")
            with unavailable_on_azure_error():
                await blob.stage_block(number.id, bytes(block))
            staged.append(number)

        block = bytearray()
        async for chunk in chunks:
            block += chunk
            while len(block) >= BLOCK:
                await stage(block[:BLOCK])
                del block[:BLOCK]
        if block:
            await stage(block)
        with unavailable_on_azure_error():
            return await create_once(
                blob,
                writer,
                lambda target: target.commit_block_list(
                    staged, metadata={"writer": writer}, match_condition=MatchConditions.IfMissing
                ),
            )


async def _slices(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), BLOCK):
        yield data[at : at + BLOCK]

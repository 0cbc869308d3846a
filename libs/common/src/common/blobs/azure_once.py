"""Creating a blob exactly once in Azure, whatever becomes of the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient

from common.blobs import BlobsUnavailable
from common.blobs.azerrors import TAKEN, code_of

_COPY_POLL_SECONDS = 0.2


async def create_once(blob: BlobClient, writer: str, request: Callable[[BlobClient], Awaitable[Any]]) -> bool:
    """Send a request that creates a blob if its name is free.

    Parameters
    ----------
    blob
        The blob to create.
    writer
        The mark that the request puts into the blob's metadata as ``writer``. The client repeats a request whose
        answer was lost; the mark then shows that the blob in the way is the one we made.
    request
        The conditional request.

    Returns
    -------
    bool
        Whether the blob is ours; False when the name was taken.

    Raises
    ------
    azure.core.exceptions.ResourceNotFoundError
        Something was in the way, but no blob is there (any more).
    """
    try:
        await request(blob)
    except AzureError as error:
        # Another writer's commit drops the blocks we staged under the same name.
        if code_of(error) not in TAKEN | {"InvalidBlockList"}:
            raise
        found = await blob.get_blob_properties()
        return bool(found.metadata.get("writer") == writer)
    return True


async def copy_if_absent(source: BlobClient, target: BlobClient) -> bool:
    """Copy a blob inside the account to a name that is free; return whether we did.

    Raises
    ------
    BlobsUnavailable
        Azure gave the copy up; nothing remains of it.
    """
    writer = uuid4().hex
    ours = await create_once(
        target,
        writer,
        lambda blob: blob.start_copy_from_url(
            source.url, metadata={"writer": writer}, match_condition=MatchConditions.IfMissing
        ),
    )
    if not ours:
        return False
    copied = False
    try:
        found = await target.get_blob_properties()
        while found.copy.status == "pending":
            await asyncio.sleep(_COPY_POLL_SECONDS)
            found = await target.get_blob_properties()
        copied = is_whole(found)
    finally:
        if not copied:
            await _undo(target)
    if not copied:
        msg = f"Azure Blob Storage gave a copy up: {found.copy.status}"
        raise BlobsUnavailable(msg)
    return True


def is_whole(blob: BlobProperties) -> bool:
    """Whether a blob's bytes are all there: it is not the target of a copy that is under way or failed."""
    return blob.copy is None or blob.copy.status in {None, "success"}


async def _undo(target: BlobClient) -> None:
    with suppress(AzureError):
        found = await target.get_blob_properties()
        if found.copy.id:
            with suppress(AzureError):  # it may have ended meanwhile
                await target.abort_copy(found.copy.id)
        await target.delete_blob()

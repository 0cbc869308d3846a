"""Blobs that were put beside the platform, given as if they came from an address."""

from collections.abc import AsyncGenerator

from common.blobs import BlobNotFound, Blobs, read_all
from common.drop import Drop
from common.errors import Permanent


async def dropped(blobs: Blobs, name: str, *, limit: int | None) -> AsyncGenerator[bytes, None]:
    """The bytes of the blob that a stored `common.drop.Drop` names.

    Raises
    ------
    Permanent
        When there is no such blob, or it has more than ``limit`` bytes.
    common.blobs.BlobNotFound
        When the `Drop` itself is gone, as after an erasure.
    """
    drop = Drop.model_validate_json(await read_all(blobs, name))
    try:
        found = await blobs.stat(drop.blob)
    except ValueError:  # A name that no store takes will never be one.
        raise _not_found() from None
    if found is None:
        raise _not_found()
    if limit is not None and found.size > limit:
        raise Permanent("too_large", f"The blob has more than {limit} bytes, which is the limit.")
    try:
        async for chunk in blobs.read(drop.blob):
            yield chunk
    except BlobNotFound:
        raise _not_found() from None


def _not_found() -> Permanent:
    return Permanent("source_not_found", "There is no blob with this name. Put it there, and send the item again.")

"""The word for a handler whose store is away."""

from common.errors import Transient


def store_away() -> Transient:
    """What to raise for `common.blobs.BlobsUnavailable`."""
    return Transient("The file store does not answer.", code="storage_unavailable")

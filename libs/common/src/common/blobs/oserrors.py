"""What the operating system says of a store's folder, in the port's word."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.blobs import BlobsUnavailable


@contextmanager
def unavailable_on_oserror() -> Iterator[None]:
    """Turn an `OSError` into `BlobsUnavailable`; the message names the reason and no path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = f"the folder of the blobs cannot be used: {reason}"
        raise BlobsUnavailable(msg) from error

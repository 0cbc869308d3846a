"""What Azure Blob Storage says, in the port's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError

from common.blobs import BlobNotFound, BlobsUnavailable

TAKEN = frozenset({"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"})
"""Codes that refuse a write because the name is taken."""

ABSENT = frozenset({"BlobNotFound", "ResourceNotFound"})
"""Codes that say there is no such blob; a missing container is not among them."""


def code_of(error: AzureError) -> str:
    """Azure's own code of an error, or its HTTP status, or what kind of failure it was."""
    if isinstance(error, HttpResponseError):
        code = getattr(error, "error_code", None)
        return str(getattr(code, "value", code) or error.status_code)
    return type(error).__name__


def is_absent(error: AzureError) -> bool:
    """Whether an error says that the blob is not there; an answer to HEAD may carry the status alone."""
    return code_of(error) in ABSENT | {"404"}


@contextmanager
def unavailable_on_azure_error(name: str = "") -> Iterator[None]:
    """Turn Azure's errors into `BlobNotFound` of this name or `BlobsUnavailable`; messages hold the code alone."""
    try:
        yield
    except AzureError as error:
        if name and is_absent(error):
            raise BlobNotFound(name) from None
        msg = f"Azure Blob Storage cannot be used: {code_of(error)}"
        raise BlobsUnavailable(msg) from error

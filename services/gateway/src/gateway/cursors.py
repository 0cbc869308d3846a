"""Places in a list that is ordered by time and id, as clients carry them from page to page."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gateway.problems import INVALID, Problem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cursor(time: datetime, found: UUID) -> str:
    """The place of what was made at a time and has an id."""
    text = f"{(time - _EPOCH) // timedelta(microseconds=1)}/{found}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(text: str | None) -> tuple[datetime, UUID] | None:
    """Time and id of a cursor, None for none; a 422 problem when it is no cursor."""
    if text is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        microseconds, _, found = raw.partition("/")
        return _EPOCH + timedelta(microseconds=int(microseconds)), UUID(found)
    except (ValueError, OverflowError, binascii.Error):
        message = "is not a cursor of this list"
        raise Problem(INVALID, f"cursor {message}.", errors=[("cursor", message)]) from None

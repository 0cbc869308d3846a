"""The ``Retry-After`` header, as any server may send it."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds of a ``Retry-After`` that are believed: a day. A longer one is cut to it, so that no date runs over."""


def retry_after(header: str | None) -> float | None:
    """Seconds asked for, as a number or as an HTTP date; 0 to `LONGEST`, or None without a valid header."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else min(max(0.0, seconds), LONGEST)

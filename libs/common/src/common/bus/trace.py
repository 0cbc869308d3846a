"""W3C trace context: one trace from the upload to the webhook, a new span at every hop."""

import random
import re

_VALID = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Trace ids need to be unlikely to collide, not hard to guess; the operating system's source costs ten times as much.
_bits = random.Random().getrandbits  # noqa: S311


def child(parent: bytes | None) -> bytes:
    """A `traceparent` with a span id of its own in the parent's trace, or in a new one when the parent is none."""
    if parent is None or _VALID.fullmatch(parent) is None:
        return b"00-%032x-%016x-01" % (_bits(128) | 1, _bits(64) | 1)
    return b"%b-%016x-%b" % (parent[:35], _bits(64) | 1, parent[53:])

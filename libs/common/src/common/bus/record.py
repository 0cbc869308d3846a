"""A Kafka record as the bus sees it; the client library brings no types."""

from typing import Protocol

from common.envelope import Headers


class Record(Protocol):
    """One consumed record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def header(headers: Headers, name: str) -> bytes | None:
    """The first header of that name."""
    for key, value in headers:
        if key == name:
            return value
    return None

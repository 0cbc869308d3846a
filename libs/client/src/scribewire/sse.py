"""Reading server-sent events from lines of text (WHATWG HTML, section 9.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event: its id (to resume from), its name and its data."""

    id: str
    event: str
    data: str


def parse(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Turn the lines of a stream into events; an event cut off at the end is dropped."""
    last_id, event, data = "", "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(last_id, event, "\n".join(data))
            event, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            last_id = value
        elif field == "event":
            event = value
        elif field == "data":
            data.append(value)

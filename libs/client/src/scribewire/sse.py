"""Reading server-sent events from lines of text (WHATWG HTML, section 9.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event: its id (to resume from), its name and its data."""

    id: str
    event: str
    data: str


class Reader:
    """Turns lines into events, one line at a time; an event cut off at the end never comes out."""

    def __init__(self) -> None:
        self._last_id, self._event, self._data = "", "message", list[str]()

    def feed(self, line: str) -> ServerEvent | None:
        """Take a line without its end; the event that it completes, if it does."""
        if not line:
            event, data = self._event, self._data
            self._event, self._data = "message", []
            return ServerEvent(self._last_id, event, "\n".join(data)) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            self._last_id = value
        elif field == "event":
            self._event = value
        elif field == "data":
            self._data.append(value)
        return None


def parse(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Turn the lines of a stream into events."""
    reader = Reader()
    for line in lines:
        if (event := reader.feed(line)) is not None:
            yield event

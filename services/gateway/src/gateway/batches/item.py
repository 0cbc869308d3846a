"""One item of a batch as a manifest names it, or what is wrong with its line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.visible import what_is_visible

Kind = Literal["url", "blob", "upload"]

TOO_LONG = "is longer than 16,384 bytes"


class BadLine(Exception):  # noqa: N818 - named for what it is
    """A line that is no item.

    Parameters
    ----------
    field
        What of it is wrong: a column or a member, ``line`` for the whole.
    message
        What is wrong, to be read after the field's name; never quotes an address.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        # Members may have any name, and the item is kept with it.
        self.field = what_is_visible(field)[:100] or "line"
        self.message = message


@dataclass(frozen=True, slots=True)
class Item:
    """A row of `batch_items` as a line makes it.

    ``source`` is the Fernet token of an address, a blob's name or an upload's id; ``shown`` is what people see of it.
    ``options`` are what differs from `JobOptions`' own defaults. A bad line has ``field`` and ``message`` and no
    source.
    """

    line: int
    reference: str | None = None
    kind: Kind | None = None
    source: str | None = None
    shown: str | None = None
    options: Mapping[str, Any] | None = None
    field: str | None = None
    message: str | None = None

    @property
    def bad(self) -> bool:
        """Whether its line could not be read as an item."""
        return self.message is not None

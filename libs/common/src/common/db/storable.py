"""Text as PostgreSQL takes it."""

import re
from typing import overload

_REFUSED = re.compile("[\x00\ud800-\udfff]")


@overload
def storable(text: str) -> str: ...


@overload
def storable(text: None) -> None: ...


def storable(text: str | None) -> str | None:
    """The text without what PostgreSQL refuses in one: NUL and lone surrogates."""
    return None if text is None else _REFUSED.sub("", text)

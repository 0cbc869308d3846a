"""Names of files as clients send them, made harmless; they are metadata, never part of a path."""

import re
import unicodedata
from urllib.parse import quote

from gateway.visible import JOINERS, what_is_visible

LONGEST = 255
_RESERVED = frozenset('<>:"|?*')


def sanitise(name: str | None) -> str | None:
    """A name that is safe to store, show and offer for download.

    The last part of a path; what cannot be shown removed, characters that file systems reserve
    replaced by ``_``, at most 255 characters of which the extension is kept. None when nothing is left.
    """
    if name is None:
        return None
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    harmless = "".join("_" if char in _RESERVED else char for char in what_is_visible(last))
    clean = unicodedata.normalize("NFC", harmless).strip(" ." + JOINERS)
    if not clean:
        return None
    if len(clean) <= LONGEST:
        return clean
    stem, dot, extension = clean.rpartition(".")
    if not dot or len(extension) > 16:
        return clean[:LONGEST]
    return stem[: LONGEST - len(extension) - 1] + dot + extension


def attachment(filename: str | None, *endings: str | None, otherwise: str) -> str:
    """A ``Content-Disposition`` for a file made of one called ``filename``, or else of ``otherwise``.

    ``endings`` take the place of its own; None is left out.
    """
    stem = (filename or otherwise).rpartition(".")[0] or filename or otherwise
    name = ".".join(filter(None, (stem, *endings)))
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def printable(text: str | None) -> str | None:
    """A short text that a client sent for a header, with what cannot be shown removed; None when nothing is left."""
    return (what_is_visible(text)[:LONGEST] or None) if text is not None else None

"""A body cut into lines as it streams in: however the network cut it, the same bytes give the same lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from gateway.problems import INVALID, Problem

LONGEST_LINE = 16 * 1024
"""Bytes of a line; what is longer is no item but a bad line, and is not held."""

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number as editors count, from 1, and its bytes; None when it is too long."""

    number: int
    raw: bytes | None


class Lines:
    """Takes a body's pieces and gives its lines; at most one line is held."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._held = bytearray()
        self._too_long = False
        self._number = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the body up to the end of the line that was given last; of all of it after `end`."""
        return self._hash.hexdigest()

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that end in this piece, one at a time, so that `digest` belongs to the one just given.

        Raises
        ------
        Problem
            422 when the text is UTF-16.
        """
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            yield from self._ended(piece[start:end], b"\n")
            start = end + 1
        self._add(piece[start:])

    def end(self) -> Iterator[Line]:
        """The last line, where it did not end in a line break."""
        if self._held or self._too_long:
            yield from self._ended(b"", b"")

    def _ended(self, rest: bytes, newline: bytes) -> Iterator[Line]:
        self._add(rest)
        self._hash.update(newline)
        self._number += 1
        raw, too_long = bytes(self._held), self._too_long
        self._held.clear()
        self._too_long = False
        if self._number == 1 and not too_long:
            if raw.startswith(_UTF16_MARKS):
                message = "must be UTF-8, not UTF-16"
                raise Problem(INVALID, f"The manifest {message}.", errors=[("body", message)])
            raw = raw.removeprefix(_UTF8_MARK)
        if too_long or raw.strip():
            yield Line(self._number, None if too_long else raw.removesuffix(b"\r"))

    def _add(self, piece: bytes) -> None:
        self._hash.update(piece)
        if self._too_long:
            return
        if len(self._held) + len(piece) > LONGEST_LINE:
            self._too_long = True
            self._held.clear()
        else:
            self._held += piece

"""How text is laid out on a screen: its width in columns, and its best break into at most two lines."""

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

LINE = 42
"""Columns of a subtitle line, the usual limit of broadcasters."""


def width(text: str) -> int:
    """Columns a text takes: two for a wide East Asian character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


def chop(word: str, limit: int) -> list[str]:
    """A word as pieces of at most ``limit`` columns: scripts without spaces, addresses, noise."""
    if width(word) <= limit:
        return [word]
    pieces, piece, used = [], "", 0
    for c in word:
        columns = width(c)
        if piece and used + columns > limit:
            pieces.append(piece)
            piece, used = "", 0
        piece += c
        used += columns
    return [*pieces, piece]


def layout(texts: Sequence[str], glued: Sequence[bool]) -> tuple[str, ...] | None:
    """Set pieces of text in one line or two of nearly the same width.

    Parameters
    ----------
    texts
        The pieces in order.
    glued
        For each piece, whether it follows the one before without a space.

    Returns
    -------
    tuple of str or None
        One or two lines of at most `LINE` columns, or None when the pieces need more room.
    """
    gaps = [0 if tight else 1 for tight in glued]
    # ends[i] is the column at which piece i ends when all stand in one line.
    ends = list(accumulate(width(text) + gap for text, gap in zip(texts, gaps, strict=True)))
    if not ends or ends[-1] - gaps[0] <= LINE:
        return (_joined(texts, gaps),)
    best: tuple[int, int] | None = None
    for i in range(1, len(texts)):
        upper, lower = ends[i - 1] - gaps[0], ends[-1] - ends[i - 1] - gaps[i]
        if upper > LINE:
            break
        if lower <= LINE and (best is None or max(upper, lower) <= best[0]):
            best = (max(upper, lower), i)
    if best is None:
        return None
    return _joined(texts[: best[1]], gaps[: best[1]]), _joined(texts[best[1] :], gaps[best[1] :])


def _joined(texts: Sequence[str], gaps: Sequence[int]) -> str:
    return "".join(" " * gap + text for text, gap in zip(texts, gaps, strict=True)).strip(" ")

"""Which texts people can see as they are: what is kept and shown must neither hide nor pass for something else."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
"""Control characters, lone surrogates, no characters at all, separators of lines and paragraphs."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What changes the direction of text after it, so that a name reads as another."""


def visible(text: str) -> bool:
    """Whether a text has nothing that cannot be shown.

    Joiners (U+200C, U+200D), without which Persian and Hindi are misspelt, and spaces that do not break (U+00A0,
    U+202F), which French has before its colons, are as good as letters. Whatever is visible PostgreSQL can keep.
    """
    return text.isprintable() or not any(map(_hidden, text))


def what_is_visible(text: str) -> str:
    """The text without what cannot be shown."""
    return "".join(char for char in text if not _hidden(char))


def _hidden(char: str) -> bool:
    return char in _TURNING or unicodedata.category(char) in _HIDDEN

"""Which texts people can see as they are: what is kept and shown must neither hide nor pass for something else."""

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, those that turn other text or are not seen at all, lone surrogates, characters without an agreed
meaning, no characters at all, separators of lines and paragraphs."""

JOINERS = "\u200c\u200d"

_SEEN = frozenset(JOINERS + "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
"""Of these categories, but as good as letters: joiners, and signs that Arabic and Syriac set around numbers."""

_FLAGS = re.compile(
    "(\U0001f3f4(?:"
    + "|".join("".join(chr(0xE0000 + ord(letter)) for letter in region) for region in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f)"
)
"""The flags of England, Scotland and Wales, spelt with characters that else hide text."""


def visible(text: str) -> bool:
    """Whether a text has nothing that cannot be shown.

    Joiners (U+200C, U+200D), without which Persian and Hindi are misspelt, and spaces that do not break (U+00A0,
    U+202F), which French has before its colons, are as good as letters. Whatever is visible PostgreSQL can keep.
    """
    return text.isprintable() or what_is_visible(text) == text


def what_is_visible(text: str) -> str:
    """The text without what cannot be shown."""
    parts = enumerate(_FLAGS.split(text))  # every other one is a flag
    return "".join(part if odd % 2 else "".join(char for char in part if not _hidden(char)) for odd, part in parts)


def _hidden(char: str) -> bool:
    return char not in _SEEN and unicodedata.category(char) in _HIDDEN

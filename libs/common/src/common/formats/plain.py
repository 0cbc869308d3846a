"""Recognised text made safe for files in which line ends and control characters have a meaning."""

import unicodedata


def one_line(text: str) -> str:
    """Text with every run of white space as one space, and without control characters and lone surrogates."""
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in {"Cc", "Cs"})
    return " ".join(kept.split())

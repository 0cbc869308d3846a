"""How an API key is written: ``sw_<prefix>_<secret><checksum>``.

The prefix names the key in lists and finds its row; the secret is 256 random bits; the checksum lets a typing error
be refused without a look-up. Secret scanners find keys by ``sw_`` and the fixed lengths.
"""

import re
import secrets
import zlib
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest as hmac_digest

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = 10
_SECRET = 43
"""Digits of base 62 that hold 256 bits."""
_CHECKSUM = 6

BEGINNING = "sw_"

_KEY = re.compile(
    rf"(?P<prefix>{BEGINNING}[0-9A-Za-z]{{{_PREFIX}}})_[0-9A-Za-z]{{{_SECRET}}}(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM}}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: ``text`` is shown once and kept nowhere."""

    text: str
    prefix: str


def make() -> NewKey:
    """A new random key."""
    prefix = BEGINNING + "".join(secrets.choice(_DIGITS) for _ in range(_PREFIX))
    body = f"{prefix}_{_base62(int.from_bytes(secrets.token_bytes(32)), _SECRET)}"
    return NewKey(body + _checksum(body), prefix)


def prefix_of(text: str) -> str | None:
    """The prefix of a well-formed key; None for anything else, and where a character was mistyped."""
    found = _KEY.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM]) != found["checksum"]:
        return None
    return found["prefix"]


def digest(text: str, pepper: bytes | None) -> bytes:
    """What is stored of a key: its SHA-256, or its HMAC-SHA256 under a pepper. 32 bytes."""
    return hmac_digest(pepper, text.encode(), "sha256") if pepper else sha256(text.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

"""Hashes of the systems before this one: checked once, at the next login, and then replaced."""

import hmac
from hashlib import sha256

import bcrypt

SHA256 = "sha256$"
"""What we put before a salted SHA-256 in hexadecimal, to tell it from others."""

_BCRYPT = ("$2a$", "$2b$", "$2y$")
_NOBODY = b"$2b$12$abcdefghijklmnopqrstuuOeZ2hQ32AyBh8ZYFFLfYoUxWKOV2GcS"
_LONGEST = 72
"""Bytes of a password that bcrypt looks at; what made these hashes ignored the rest, so that we must too."""


def is_imported(known: str) -> bool:
    """Whether a hash is of an older kind."""
    return known.startswith((SHA256, *_BCRYPT))


def right(password: str, known: str | None, *, salt: str | None, bcrypt_left: bool) -> bool:
    """Whether this is the password of an imported hash; of None it never is.

    Parameters
    ----------
    password
        As typed: those systems did not bring it into one form.
    known
        ``sha256$`` and the hexadecimal SHA-256 of password and salt, or bcrypt's own form.
    salt
        What that SHA-256 was salted with; without it no such password is right.
    bcrypt_left
        Do bcrypt's work also where there is nothing to check, so that the time says nothing.
    """
    typed = password.encode()
    if known is not None and known.startswith(SHA256):
        digest = sha256(typed + (salt or "").encode()).hexdigest()
        same = hmac.compare_digest(digest, known.removeprefix(SHA256).lower())
        if bcrypt_left:
            _bcrypt(typed, _NOBODY)
        return same and salt is not None
    if known is not None or bcrypt_left:
        return _bcrypt(typed, known.encode() if known is not None else _NOBODY) and known is not None
    return False


def _bcrypt(typed: bytes, known: bytes) -> bool:
    try:
        return bcrypt.checkpw(typed[:_LONGEST], known)
    except ValueError:
        return False

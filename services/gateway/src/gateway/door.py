"""The door: who may come in is decided here and nowhere else."""

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from aiohttp import web

from gateway.principal import OPERATOR, SCOPES, Principal
from gateway.problems import UNAUTHORIZED, Problem

SHORTEST_KEY = 16

_OPERATOR = Principal(owner=OPERATOR, via="operator", scopes=SCOPES, role="admin", plan="enterprise")


class Door(Protocol):
    """Tells who sent a request."""

    async def enter(self, request: web.Request) -> Principal:
        """Who sent the request; raises a 401 problem when nothing it shows is valid."""
        ...


class OperatorDoor:
    """Knows whether a request carries the operator's key.

    Parameters
    ----------
    key_file
        File that holds the key and nothing else.

    Raises
    ------
    ValueError
        When the file is missing, or its key too short to be one: a gateway without a key would be an open door.
    """

    def __init__(self, key_file: Path) -> None:
        try:
            key = key_file.read_text().strip()
        except OSError as error:
            msg = f"the operator key file cannot be read: {error.strerror}"
            raise ValueError(msg) from error
        if len(key) < SHORTEST_KEY:
            msg = f"the operator key must have at least {SHORTEST_KEY} characters"
            raise ValueError(msg)
        self._digest = sha256(key.encode()).digest()

    async def enter(self, request: web.Request) -> Principal:
        """Who sent the request; raises a 401 problem when the key is missing or wrong.

        The key comes as ``Authorization: Bearer KEY`` or ``Token KEY``, or as ``x-api-key: KEY``.
        """
        if (principal := self.knows(digest_of(presented(request)))) is not None:
            return principal
        raise unauthorized()

    def knows(self, digest: bytes) -> Principal | None:
        """The operator, where this is the digest of the operator's key."""
        # Digests are compared, so that the time taken says nothing of the key, not even its length.
        return _OPERATOR if hmac.compare_digest(digest, self._digest) else None


def presented(request: web.Request) -> str:
    """The key or token that a request shows in a header; empty where it shows none."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in {"bearer", "token"} and (shown := value.strip()):
        return shown
    return request.headers.get("x-api-key", "")


def digest_of(shown: str) -> bytes:
    """SHA-256 of what a request shows."""
    # A header need not be UTF-8: what is not comes as surrogates, which only this way become bytes again.
    return sha256(shown.encode(errors="surrogateescape")).digest()


def unauthorized(*, shown: bool = False) -> Problem:
    """The same answer to everybody who does not come in; ``shown`` says that something was shown."""
    return Problem(
        UNAUTHORIZED,
        "Send a valid key or token as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.",
        headers={"WWW-Authenticate": 'Bearer realm="scribewire"' + (', error="invalid_token"' if shown else "")},
    )

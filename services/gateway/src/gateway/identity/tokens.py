"""Our own tokens: JWTs of a quarter of an hour for a session, and shorter ones that open streams only."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from joserfc import jwt
from joserfc.jwt import JWTClaimsRegistry

from gateway.identity import compact
from gateway.identity.refused import Refused
from gateway.identity.signing import SigningKeys

ALGORITHM = "ES256"

ACCESS = "at+jwt"
STREAM = "stream+jwt"
_TYPES = frozenset({ACCESS, STREAM})

ISSUER = "scribewire"
AUDIENCE = "scribewire-api"

ACCESS_SECONDS = 15 * 60
LONGEST_STREAM_SECONDS = 10 * 60
LEEWAY = 30


class Identified(Protocol):
    """An account, as far as a token is concerned."""

    @property
    def id(self) -> UUID:
        """The account's id."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified token says: whose it is, of which session, and until when (epoch seconds).

    A stream token may be made with a session, with an API key, or with neither of the two.
    """

    kind: Literal["access", "stream"]
    owner: str
    session: UUID | None
    ends: float
    key: UUID | None = None


class Tokens:
    """Issues and verifies tokens.

    Parameters
    ----------
    keys
        What they are signed with.
    now
        Seconds since the epoch.
    """

    def __init__(self, keys: SigningKeys, *, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        self._rules = JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )

    async def issue(self, account: Identified, session: UUID) -> tuple[str, int]:
        """An access token of an account's session, and the seconds it is valid; raises `StoreUnavailable`."""
        token = await self._sign(ACCESS, str(account.id), ACCESS_SECONDS, sid=str(session))
        return token, ACCESS_SECONDS

    async def issue_stream(
        self, owner: str, seconds: int, *, session: UUID | None = None, key: UUID | None = None
    ) -> str:
        """A token that opens an owner's streams and nothing else, for some seconds, at most ten minutes.

        Parameters
        ----------
        session, key
            What it is made with, which it does not outlive.
        """
        made_with = {name: str(one) for name, one in (("sid", session), ("key", key)) if one is not None}
        return await self._sign(STREAM, owner, min(seconds, LONGEST_STREAM_SECONDS), **made_with)

    async def verify(self, found: compact.Unverified) -> AccessClaims:
        """What a token says.

        Raises
        ------
        Refused
            It is not one of ours, or not any more.
        StoreUnavailable
            The keys could not be loaded since the gateway started.
        """
        compact.check_header(found, algorithm=ALGORITHM, types=_TYPES)
        compact.check_claims(found, self._rules)
        compact.check_signature(found, await self._keys.verifier(found.kid), algorithm=ALGORITHM)
        owner, ends = str(found.claims["sub"]), float(found.claims["exp"]) + LEEWAY
        if found.header["typ"] != ACCESS:
            session, key = (_id(found.claims, name) if name in found.claims else None for name in ("sid", "key"))
            return AccessClaims("stream", owner, session, ends, key)
        return AccessClaims("access", owner, _id(found.claims, "sid"), ends)

    async def _sign(self, typ: str, owner: str, seconds: int, **claims: str) -> str:
        signer = await self._keys.signer()
        now = int(self._now())
        return jwt.encode(
            {"alg": ALGORITHM, "kid": signer.kid, "typ": typ},
            {"iss": ISSUER, "aud": AUDIENCE, "sub": owner, "iat": now, "exp": now + seconds, **claims},
            signer.key,
            algorithms=[ALGORITHM],
        )


def _id(claims: Any, name: str) -> UUID:
    try:
        return UUID(claims[name])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Refused(name) from None

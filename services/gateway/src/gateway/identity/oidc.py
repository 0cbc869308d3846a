"""Tokens of another issuer, such as Auth0: verified by its public keys, and taken for an account of ours."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from joserfc.jwt import JWTClaimsRegistry

from gateway.identity import compact
from gateway.identity.foreign_rights import ForeignRights
from gateway.identity.jwks import Jwks
from gateway.identity.refused import Refused
from gateway.principal import Scope

ALGORITHM = "RS256"

_TYPES = frozenset({"", "jwt", "at+jwt"})
"""Not every issuer says what its tokens are; one that is something else, such as a logout token, says so."""

LEEWAY = 30
LONGEST_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a verified token says: who it is at the issuer, since and until when (epoch seconds), and what it may do."""

    issuer: str
    subject: str
    issued: float
    ends: float
    scopes: frozenset[Scope]


class Oidc:
    """Verifies the tokens of one issuer.

    Parameters
    ----------
    issuer
        The ``iss`` of its tokens, letter by letter.
    audience
        What must be among their ``aud``.
    keys
        The issuer's keys.
    rights
        What its tokens may do.
    now
        Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: Jwks,
        rights: ForeignRights,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._keys = keys
        self._rights = rights
        self._rules = JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )

    async def verify(self, found: compact.Unverified) -> Foreign:
        """Who the token is of.

        Everything that can be seen without the issuer's key is looked at before a key is asked for, so that no forged
        token sends us to the issuer unless it differs from a good one in its signature alone.

        Raises
        ------
        Refused
            It is not a valid token for us.
        IssuerUnavailable
            The issuer was never reached.
        """
        compact.check_header(found, algorithm=ALGORITHM, types=_TYPES)
        compact.check_claims(found, self._rules)
        subject = found.claims["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise Refused("sub")
        compact.check_signature(found, await self._keys.key(found.kid), algorithm=ALGORITHM)
        claims = found.claims
        issued, ends = _seconds(claims["iat"]), _seconds(claims["exp"]) + LEEWAY
        return Foreign(self.issuer, subject, issued, ends, self._rights.of(claims))


def _seconds(claim: float) -> float:
    return float(max(0, min(claim, 2**53)))

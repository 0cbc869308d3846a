"""A JWT as it was sent, read strictly: nothing of it is believed before its signature is checked."""

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from gateway.identity.refused import Refused

LONGEST = 8 * 1024
LONGEST_KID = 200

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_NEVER = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"})
"""Header members that name another key, or change what the rest means (RFC 8725, 3.10)."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """The two readable parts of a token."""

    token: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def kid(self) -> str:
        """The key that the token says it was signed with."""
        kid = self.header.get("kid")
        if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
            raise Refused("kid")
        return kid


def read(token: str) -> Unverified:
    """Take a compact JWS apart; raises `Refused` when it is no well-formed one."""
    if len(token) > LONGEST:
        raise Refused("too_long")
    parts = token.split(".")
    if len(parts) != 3 or not all(_SEGMENT.fullmatch(part) for part in parts):
        raise Refused("malformed")
    header, claims = _object(parts[0]), _object(parts[1])
    if not _NEVER.isdisjoint(header):
        raise Refused("header")
    return Unverified(token, header, claims)


def check_header(found: Unverified, *, algorithm: str, types: frozenset[str]) -> None:
    """Raise `Refused` unless the token names this algorithm, letter by letter, and one of the types (``""``: none)."""
    if found.header.get("alg") != algorithm:
        raise Refused("algorithm")
    typ = found.header.get("typ", "")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types:
        raise Refused("type")


def check_claims(found: Unverified, rules: JWTClaimsRegistry) -> None:
    """Raise `Refused` with the name of the first claim that breaks the rules."""
    try:
        rules.validate(dict(found.claims))
    except JoseError as error:
        claim = getattr(error, "claim", None)
        raise Refused(claim if claim in _TOLD else "claims") from None


def check_signature(found: Unverified, key: ECKey | RSAKey, *, algorithm: str) -> None:
    """Raise `Refused` unless the key signed the token by this very algorithm."""
    try:
        jws.deserialize_compact(found.token, key, algorithms=[algorithm])
    except (JoseError, ValueError):
        raise Refused("signature") from None


_TOLD = frozenset({"iss", "aud", "exp", "iat", "nbf", "sub", "sid", "scope"})


def _object(segment: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        found = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    if not isinstance(found, dict):
        raise Refused("malformed")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names come once each: of two claims of one name, another reader may believe the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a name is given twice"
        raise ValueError(msg)
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value

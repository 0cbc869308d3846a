"""Who sent a request, and what they may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from aiohttp import web

Scope = Literal["jobs:read", "jobs:write", "webhooks", "keys", "account", "admin", "stream"]
"""What a key may be allowed to do: read jobs and results; make, cancel and delete jobs; manage webhooks, keys, the
account; see and change what belongs to others. ``stream`` is to follow jobs live, and is in ``jobs:read``."""

SCOPES: frozenset[Scope] = frozenset(get_args(Scope))

Via = Literal["operator", "key", "session", "oidc", "stream"]
"""How somebody came in: the operator's key, an API key, a login of ours or of another issuer, a stream token."""

ADMIN_ONLY: frozenset[Scope] = frozenset({"admin"})
"""What only an admin may be allowed to do."""


def allowed(role: str, scopes: Iterable[str]) -> frozenset[Scope]:
    """Those of the scopes that the role may have, and what they imply."""
    most = SCOPES if role == "admin" else SCOPES - ADMIN_ONLY
    found = frozenset(scope for scope in most if scope in set(scopes))
    return found | {"stream"} if "jobs:read" in found else found


OPERATOR = "operator"
"""Owner of everything made with the operator's key."""

LEGACY = "legacy"
"""Owner of what is made with the one key of old; it has no account."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from.

    Parameters
    ----------
    owner
        `OPERATOR`, or the account's id; everything that is made belongs to it.
    credential
        The key or the session that was shown, or that a stream token was made with, where there is one.
    issued
        When a token of another issuer was issued (epoch seconds).
    """

    owner: str
    via: Via
    scopes: frozenset[Scope]
    role: Literal["user", "admin"] = "user"
    plan: str = "free"
    credential: UUID | None = None
    issued: float | None = None


def account_id(owner: str) -> UUID | None:
    """The account that an owner is; None for the operator and others who have none."""
    try:
        return UUID(owner)
    except ValueError:
        return None


PRINCIPAL = web.RequestKey("principal", Principal)


def principal_of(request: web.Request) -> Principal:
    """Whom the door let in."""
    return request[PRINCIPAL]


def owner_of(request: web.Request) -> str:
    """The owner the door let in: every look-up and everything that is made is theirs."""
    return request[PRINCIPAL].owner

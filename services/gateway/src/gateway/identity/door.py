"""The door: the operator's key, API keys, our own tokens, another issuer's tokens, and the one key of old."""

import hmac
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from aiohttp import web

from gateway.database import StoreUnavailable
from gateway.door import OperatorDoor, digest_of, presented, unauthorized
from gateway.identity import compact
from gateway.identity.account import AccountRow
from gateway.identity.identities import Identities
from gateway.identity.jwks import IssuerUnavailable
from gateway.identity.key_format import BEGINNING
from gateway.identity.keys import Admitted, Keys
from gateway.identity.oidc import Oidc
from gateway.identity.ports import Audit
from gateway.identity.refused import Refusals, Refused
from gateway.identity.seen import FRESH, Seen
from gateway.identity.tokens import AccessClaims, Tokens
from gateway.identity.uses import Uses
from gateway.principal import SCOPES, Principal, Scope, Via, account_id, allowed
from gateway.problems import unavailable

LEGACY = "legacy"
"""Owner of what is made with the one key of old."""

_LEGACY = Principal(LEGACY, "key", allowed("user", ("jobs:read", "jobs:write", "webhooks")))

_STREAM: frozenset[Scope] = frozenset({"stream"})

IN_ADDRESS = "access_token"
"""Query parameter for a stream token, as browsers cannot add headers to an event stream (RFC 6750, 2.3)."""


class Sessions(Protocol):
    """The sessions of accounts."""

    async def alive(self, session: UUID) -> bool:
        """Whether a session goes on; asking is activity."""


class Accounts(Protocol):
    """The accounts."""

    async def active(self, account: UUID) -> AccountRow | None:
        """The account, unless there is none or it is switched off."""


class IdentityDoor:
    """Tells who sent a request; it is a `gateway.door.Door`.

    Parameters
    ----------
    operator
        Knows the operator's key.
    legacy
        The one key of old, where the operator set one.
    oidc
        Verifies another issuer's tokens, where one is configured.
    """

    def __init__(
        self,
        *,
        operator: OperatorDoor,
        legacy: str | None,
        keys: Keys,
        uses: Uses,
        tokens: Tokens,
        oidc: Oidc | None,
        identities: Identities,
        sessions: Sessions,
        accounts: Accounts,
        seen: Seen,
        refusals: Refusals,
        audit: Audit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operator = operator
        self._legacy = digest_of(legacy) if legacy is not None else None
        self._keys = keys
        self._uses = uses
        self._tokens = tokens
        self._oidc = oidc
        self._identities = identities
        self._sessions = sessions
        self._accounts = accounts
        self._seen = seen
        self._refusals = refusals
        self._audit = audit
        self._clock = clock
        self._away_until = float("-inf")

    async def enter(self, request: web.Request) -> Principal:
        """Who sent the request.

        Raises
        ------
        Problem
            401, the same for whatever is wrong with what it shows; 503 while another issuer was never reached.
        StoreUnavailable
            PostgreSQL is away, and did not know this key or token in the last ten minutes.
        """
        shown = presented(request)
        in_address = not shown and IN_ADDRESS in request.query
        if in_address:
            shown = request.query[IN_ADDRESS]
        digest = digest_of(shown)
        principal = self._seen.fresh(digest) or await self._ask(request, shown, digest)
        if in_address and principal.via != "stream":
            # Addresses end up in logs and histories: what lives longer than minutes is not taken from one.
            self._refusals.tell(request, "token", "in_address")
            raise unauthorized(shown=True)
        if principal.via == "key" and principal.credential is not None:
            self._uses.add(principal.credential)
        return principal

    async def _ask(self, request: web.Request, shown: str, digest: bytes) -> Principal:
        if not shown:
            raise unauthorized()
        if (operator := self._operator.knows(digest)) is not None:
            return operator
        if self._legacy is not None and hmac.compare_digest(digest, self._legacy):
            return _LEGACY
        # While PostgreSQL is away one request in two seconds finds out whether it still is; the others do not wait.
        if self._clock() < self._away_until and (known := self._seen.lately(digest)) is not None:
            return known
        kind = "token" if "." in shown else "key"
        if (reason := self._seen.wrong(digest)) is not None:
            self._refusals.tell(request, kind, reason)
            raise unauthorized(shown=True)
        changes = self._seen.changes
        try:
            admitted = await self._check(request, shown)
        except Refused as refused:
            self._seen.refuse(digest, refused.reason)
            self._refusals.tell(request, kind, refused.reason)
            raise unauthorized(shown=True) from None
        except StoreUnavailable:
            self._away_until = self._clock() + FRESH
            if (known := self._seen.lately(digest)) is None:
                raise
            return known
        except IssuerUnavailable:
            raise unavailable("The issuer of this token cannot be reached to verify it.") from None
        self._seen.confirm(digest, admitted, changes=changes)
        return admitted.principal

    async def _check(self, request: web.Request, shown: str) -> Admitted:
        if shown.startswith(BEGINNING):
            return await self._keys.check(shown)
        if "." not in shown:
            raise Refused("malformed")
        found = compact.read(shown)
        if self._oidc is not None and found.claims.get("iss") == self._oidc.issuer:
            foreign = await self._oidc.verify(found)
            account, made = await self._identities.account(foreign.issuer, foreign.subject)
            if made:
                await self._audit(request, "account.created", actor=str(account), issuer=foreign.issuer)
            return Admitted(_principal(await self._accounts.active(account), "oidc"), foreign.ends)
        claims = await self._tokens.verify(found)
        if claims.session is None:
            await self._lives(claims.owner)
            return Admitted(Principal(claims.owner, "stream", _STREAM), claims.ends)
        return Admitted(await self._of_session(claims, claims.session), claims.ends)

    async def _lives(self, owner: str) -> None:
        """Refuse what is left of an account that is gone or switched off; the operator is no account."""
        account = account_id(owner)
        if account is not None and await self._accounts.active(account) is None:
            raise Refused("account_inactive")

    async def _of_session(self, claims: AccessClaims, session: UUID) -> Principal:
        account = account_id(claims.owner)
        if account is None:
            raise Refused("sub")
        if not await self._sessions.alive(session):
            raise Refused("session_ended")
        return _principal(await self._accounts.active(account), "session", session)


def _principal(account: AccountRow | None, via: Via, credential: UUID | None = None) -> Principal:
    if account is None:
        raise Refused("account_inactive")
    return Principal(
        account.owner,
        via,
        allowed(account.role, SCOPES),
        role=account.role,
        plan=account.plan,
        credential=credential,
    )

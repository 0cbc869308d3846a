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
from gateway.identity.oidc import Foreign, Oidc
from gateway.identity.ports import Audit
from gateway.identity.refused import Refusals, Refused
from gateway.identity.seen import FRESH, Seen
from gateway.identity.tokens import AccessClaims, Tokens
from gateway.identity.uses import Uses
from gateway.principal import LEGACY, SCOPES, Principal, Scope, account_id, allowed
from gateway.problems import UNAUTHORIZED, Problem, unavailable

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


class Logins(Protocol):
    """What is remembered of logins at another issuer."""

    async def note(self, request: web.Request, account: UUID, *, issuer: str, digest: bytes) -> None:
        """Write a line, once for each token, of which ``digest`` is the SHA-256."""


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
        logins: Logins,
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
        self._logins = logins
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
        key = request.headers.get("x-api-key", "")
        if shown and key and key != shown:
            # Some clients send a key with every request, and beside it a token that may have ended meanwhile.
            try:
                return await self._enter(request, shown)
            except Problem as problem:
                if problem.kind is not UNAUTHORIZED:
                    raise
            shown = key
        return await self._enter(request, shown)

    async def _enter(self, request: web.Request, shown: str) -> Principal:
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
            return Admitted(await self._of_foreign(request, foreign, digest_of(shown)), foreign.ends)
        claims = await self._tokens.verify(found)
        if claims.kind == "stream":
            return Admitted(await self._of_stream(claims), claims.ends)
        return Admitted(await self._of_session(claims), claims.ends)

    async def _of_foreign(self, request: web.Request, foreign: Foreign, digest: bytes) -> Principal:
        account, made = await self._identities.account(foreign.issuer, foreign.subject, foreign.issued)
        if made:
            await self._audit(request, "account.created", actor=str(account), issuer=foreign.issuer)
        found = await self._accounts.active(account)
        if found is None:
            raise Refused("account_inactive")
        if self._seen.lately(digest) is None:
            await self._logins.note(request, account, issuer=foreign.issuer, digest=digest)
        scopes = allowed(found.role, foreign.scopes)
        return Principal(
            found.owner,
            "oidc",
            scopes,
            role="admin" if "admin" in scopes else "user",  # An admin's token is an admin only if it was meant to be.
            plan=found.plan,
            issued=foreign.issued,
        )

    async def _of_stream(self, claims: AccessClaims) -> Principal:
        """Who a stream token is of, unless it outlived what it was made with."""
        await self._lives(claims.owner)
        if claims.session is not None and not await self._sessions.alive(claims.session):
            raise Refused("session_ended")
        if claims.key is not None and await self._keys.valid(claims.owner, claims.key) is None:
            raise Refused("key_revoked")
        return Principal(claims.owner, "stream", _STREAM, credential=claims.session or claims.key)

    async def _lives(self, owner: str) -> None:
        """Refuse what is left of an account that is gone or switched off; the operator is no account."""
        account = account_id(owner)
        if account is not None and await self._accounts.active(account) is None:
            raise Refused("account_inactive")

    async def _of_session(self, claims: AccessClaims) -> Principal:
        account, session = account_id(claims.owner), claims.session
        if account is None or session is None:
            raise Refused("sub" if account is None else "sid")
        if not await self._sessions.alive(session):
            raise Refused("session_ended")
        found = await self._accounts.active(account)
        if found is None:
            raise Refused("account_inactive")
        return Principal(
            found.owner,
            "session",
            allowed(found.role, SCOPES),
            role=found.role,
            plan=found.plan,
            credential=session,
        )

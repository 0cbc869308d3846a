"""Who comes in through another issuer never saw our registration: no jobs are taken of them before they agreed here."""

import time
from collections.abc import Callable, Mapping
from uuid import UUID

from aiohttp import web

from gateway.database import Database, StoreBusy, StoreUnavailable
from gateway.principal import account_id, owner_of
from gateway.problems import CONSENT_REQUIRED, Handler, Problem

NEEDED = ("gdpr_consent", "data_retention_agreed")

MAKE_JOBS = frozenset({"submit_job", "create_upload", "submit_batch"})
"""Operations that bring something new. What was begun may be gone on with, read and deleted."""

MISSING = """
SELECT kind FROM unnest($2::text[]) AS needed (kind)
 WHERE EXISTS (SELECT FROM oidc_identities WHERE account_id = $1)
   AND NOT coalesce((SELECT given FROM consents
                      WHERE account_id = $1 AND consents.kind = needed.kind ORDER BY at DESC, id LIMIT 1), false)"""

_AWAY_SECONDS = 5.0
_MOST_REMEMBERED = 100_000


class Consent:
    """Tells who may send jobs.

    Consent once given stays for as long as the account, so it is asked for in PostgreSQL once.

    Parameters
    ----------
    required
        Whether it is asked for at all.
    clock
        Seconds that only grow.
    """

    def __init__(self, database: Database, *, required: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._required = required
        self._clock = clock
        self._agreed: set[UUID] = set()
        self._away_until = float("-inf")

    def guarded(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The same handlers, of which those that make jobs ask first."""
        return {name: self._guard(handler) if name in MAKE_JOBS else handler for name, handler in handlers.items()}

    async def check(self, owner: str) -> None:
        """Return when this owner's jobs may be taken; a 403 problem naming what is missing otherwise."""
        account = account_id(owner)  # The operator and the one key of old have none.
        if not self._required or account is None or account in self._agreed or self._clock() < self._away_until:
            return
        try:
            async with self._database.connection() as connection:
                missing = [row["kind"] for row in await connection.fetch(MISSING, account, NEEDED)]
        except StoreBusy:
            raise
        except StoreUnavailable:
            # Jobs are taken without PostgreSQL, as are those above a limit; nobody waits for it again and again.
            self._away_until = self._clock() + _AWAY_SECONDS
            return
        if missing:
            agreeing = ", ".join(f'"{kind}": true' for kind in missing)
            raise Problem(CONSENT_REQUIRED, f"Agree first: PATCH /v1/account with {{{agreeing}}}.", missing=missing)
        if len(self._agreed) >= _MOST_REMEMBERED:
            self._agreed.clear()
        self._agreed.add(account)

    def _guard(self, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.StreamResponse:
            await self.check(owner_of(request))
            return await handler(request)

        return guard

"""Logins at another issuer, which we see only by their tokens: each token leaves one line in the audit log."""

from uuid import UUID

from aiohttp import web

from gateway.database import Database
from gateway.identity.account_store import LOGGED_IN
from gateway.identity.audit import ADD, AuditLog


class ForeignLogins:
    """Notes the first sight of a token, once over all gateways."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def note(self, request: web.Request, account: UUID, *, issuer: str, digest: bytes) -> None:
        """Write `login.succeeded` and the time of the login, unless this token was noted before.

        Parameters
        ----------
        digest
            SHA-256 of the token. It is the line's id, so that no second gateway writes another one.
        """
        line = self._audit.line(request, "login.succeeded", actor=str(account), issuer=issuer)
        line = line._replace(id=UUID(bytes=digest[:16]))
        async with self._database.connection() as connection, connection.transaction():
            if await connection.fetchval(f"{ADD} RETURNING id", *line) is not None:
                await connection.execute(LOGGED_IN, account)

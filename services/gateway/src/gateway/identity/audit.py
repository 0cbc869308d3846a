"""The audit log: who did what, when, from where. Lines are added and read, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from aiohttp import web

from common.db.storable import storable
from gateway.callers import Callers
from gateway.database import Database
from gateway.principal import PRINCIPAL

ADD = """
INSERT INTO audit_log (id, at, actor, action, ip, user_agent, details)
VALUES ($1, coalesce($2, now()), $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING"""

FIND = """
SELECT id, at, actor, action, ip, user_agent, details
  FROM audit_log
 WHERE ($1::text IS NULL OR actor = $1)
   AND ($2::text IS NULL OR action = $2 OR starts_with(action, $2 || '.'))
   AND ($3::timestamptz IS NULL OR at >= $3)
   AND ($4::timestamptz IS NULL OR at < $4)
   AND ($5::timestamptz IS NULL OR (at, id) < ($5, $6))
   AND ($8::text IS NULL OR actor = $8 OR (details ? 'account' AND details->>'account' = $8))
   AND ($9::text IS NULL OR ip = $9)
 ORDER BY at DESC, id DESC
 LIMIT $7"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    id: UUID
    at: datetime
    actor: str | None
    action: str
    ip: str | None
    user_agent: str | None
    details: dict[str, Any]


class NewLine(NamedTuple):
    """A line to write; without a time it is PostgreSQL's now."""

    id: UUID
    at: datetime | None
    actor: str | None
    action: str
    ip: str
    user_agent: str | None
    details: dict[str, Any]


class AuditLog:
    """The log in PostgreSQL; it is a `gateway.identity.ports.Audit`."""

    def __init__(self, database: Database, callers: Callers) -> None:
        self._database = database
        self._callers = callers

    async def __call__(self, request: web.Request, action: str, *, actor: str | None = None, **details: Any) -> None:
        """Write one line; the door's principal is the actor where none is named."""
        await self.write([self.line(request, action, actor=actor, **details)])

    def line(
        self, request: web.Request, action: str, *, at: datetime | None = None, actor: str | None = None, **details: Any
    ) -> NewLine:
        """A line about a request."""
        if actor is None and (principal := request.get(PRINCIPAL)) is not None:
            actor = principal.owner
        known = {name: storable(value) if isinstance(value, str) else value for name, value in details.items()}
        return NewLine(uuid4(), at, actor, action, self._callers.address(request), self._callers.agent(request), known)

    async def write(self, lines: Sequence[NewLine]) -> None:
        """Write lines, all or none; those that are there already stay as they are."""
        async with self._database.connection() as connection:
            await connection.executemany(ADD, lines)

    async def find(
        self,
        *,
        actor: str | None,
        action: str | None,
        since: datetime | None,
        until: datetime | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
        account: str | None = None,
        ip: str | None = None,
    ) -> Sequence[Line]:
        """Lines, newest first.

        Parameters
        ----------
        action
            A whole one, or the part before a dot of several.
        account
            An owner: what they did and what was done with their account, whoever did it.
        ip
            An address as `gateway.callers.Callers` writes it.
        """
        at, line = before or (None, None)
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                FIND, storable(actor), storable(action), since, until, at, line, limit, storable(account), storable(ip)
            )
        return [Line(**dict(row)) for row in rows]

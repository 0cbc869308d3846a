"""What people did with jobs, on its way into the audit log: collected in memory, written every few seconds.

A job is not made to wait for a line about it, nor refused because PostgreSQL is away: the lines are kept until it is
back. What is not written yet is lost only with the process.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime

import structlog
from aiohttp import web

from gateway.database import StoreUnavailable
from gateway.identity.audit import AuditLog, NewLine

log = structlog.get_logger(__name__)

FLUSH_EVERY = 2.0
MOST = 50_000
"""Lines kept while PostgreSQL is away; the oldest go first, and that is logged."""

_AT_ONCE = 1000


class Trail:
    """Lines that are not written yet.

    Parameters
    ----------
    audit
        Where they go.
    """

    def __init__(self, audit: AuditLog, *, most: int = MOST) -> None:
        self._audit = audit
        self._most = most
        self._lines: deque[NewLine] = deque()
        self._dropped = 0

    def add(self, request: web.Request, action: str, about: str) -> None:
        """Note what a request did, and the id of the job or the thing to which."""
        self._lines.append(self._audit.line(request, action, at=datetime.now(UTC), id=about))
        if len(self._lines) > self._most:
            self._lines.popleft()
            self._dropped += 1

    async def flush(self) -> None:
        """Write what there is; kept for the next time while PostgreSQL is away."""
        while self._lines:
            some = [self._lines[n] for n in range(min(_AT_ONCE, len(self._lines)))]
            try:
                await self._audit.write(some)
            except StoreUnavailable:
                log.warning("audit_put_off", lines=len(self._lines), dropped=self._dropped)
                return
            written = {line.id for line in some}
            while self._lines and self._lines[0].id in written:
                self._lines.popleft()

    async def keep(self) -> None:
        """Write now and again, for ever."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("audit_not_written", lines=len(self._lines))

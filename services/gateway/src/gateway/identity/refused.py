"""A credential that does not open the door: why, for the log and the audit; the client is told only that."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client import Counter

from gateway.database import StoreUnavailable
from gateway.identity.ports import Audit

log = structlog.get_logger(__name__)

REFUSED = Counter("scribewire_credentials_refused", "Credentials that were refused, by reason.", ["reason"])

BURST = 100
PER_SECOND = 1.0


class Refused(Exception):  # noqa: N818 - named for what happened
    """A credential is not valid; ``reason`` is one of a fixed few words and quotes nothing of the credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusals:
    """Counts every refusal, and tells the log and the audit of those that come no faster than people can read.

    A flood of wrong keys must fill neither the disk nor the database, so a hundred are told at once, then one a
    second; the line after a gap says in ``untold`` how many there were in it.

    Parameters
    ----------
    audit
        Keeps the line, or None where nothing does.
    clock
        Seconds that only grow.
    """

    def __init__(self, audit: Audit | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._writing: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._tokens = float(BURST)
        self._filled = clock()
        self._untold = 0

    def tell(self, request: web.Request, kind: str, reason: str) -> None:
        """Note a refusal.

        Parameters
        ----------
        request
            What came with the credential.
        kind
            What the credential looked like: ``key`` or ``token``.
        reason
            `Refused.reason`.
        """
        REFUSED.labels(reason).inc()
        if not self._may_tell():
            self._untold += 1
            return
        untold, self._untold = self._untold, 0
        log.warning("credential_refused", kind=kind, reason=reason, remote=request.remote, untold=untold)
        if self._audit is not None:
            # Whoever is refused does not wait for the line.
            task = asyncio.create_task(self._write(self._audit, request, kind, reason))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Return when the lines told are written."""
        await asyncio.gather(*self._writing)

    @staticmethod
    async def _write(audit: Audit, request: web.Request, kind: str, reason: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # The log has it.
            await audit(request, f"{kind}.refused", reason=reason)

    def _may_tell(self) -> bool:
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

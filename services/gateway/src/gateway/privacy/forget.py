"""What an account that ended leaves behind at the gateway: forgotten bit by bit, also what comes late."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from common.events import now
from gateway.database import StoreUnavailable
from gateway.privacy.store import PrivacyStore

log = structlog.get_logger(__name__)

EVERY = 60.0
LATE = timedelta(days=1)
"""For so long after its end something of an account may still come in: who was let in a moment before goes on."""


class Forgetter:
    """Forgets what is left of accounts; several gateways may be at the same one.

    Parameters
    ----------
    store
        What is known of accounts.
    clock
        The time, aware, in UTC.
    """

    def __init__(self, store: PrivacyStore, *, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._clock = clock
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """Say that an account has ended."""
        self._asked.set()

    async def sweep(self) -> None:
        """Forget all there is."""
        for owner in await self._store.to_forget(self._clock() - LATE):
            while await self._store.forget_some(owner):
                pass
            await self._store.forgotten(owner, self._clock())

    async def run(self) -> None:
        """Sweep when an account ends, and every minute, for ever."""
        while True:
            self._asked.clear()
            try:
                await self.sweep()
            except StoreUnavailable:
                log.warning("forgetting_put_off")
            except Exception:
                log.exception("forgetting_failed")
            try:
                async with asyncio.timeout(EVERY):
                    await self._asked.wait()
            except TimeoutError:
                pass

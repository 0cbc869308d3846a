"""How often each key was used, collected in memory and added to its row every few seconds."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import structlog

from gateway.database import StoreUnavailable

log = structlog.get_logger(__name__)

FLUSH_EVERY = 5.0


class Counting(Protocol):
    """Where uses are kept (`gateway.identity.key_store.KeyStore`)."""

    async def count(self, used: Mapping[UUID, tuple[int, datetime]]) -> None:
        """Add to how often keys were used, and note when last."""


class Uses:
    """Counts uses; what is not stored yet is lost only with the process.

    Each gateway adds what it counted itself, so several count exactly together.
    """

    def __init__(self, store: Counting) -> None:
        self._store = store
        self._used: dict[UUID, int] = {}

    def add(self, key: UUID) -> None:
        """Count one use."""
        self._used[key] = self._used.get(key, 0) + 1

    async def flush(self) -> None:
        """Store what was counted; what cannot be stored, as while PostgreSQL is away, is kept for the next time."""
        used, self._used = self._used, {}
        if not used:
            return
        now = datetime.now(UTC)
        try:
            await self._store.count({key: (count, now) for key, count in used.items()})
        except Exception as error:
            for key, count in used.items():
                self._used[key] = self._used.get(key, 0) + count
            if not isinstance(error, StoreUnavailable):
                raise
            log.warning("key_uses_not_stored", keys=len(used))

    async def keep(self) -> None:
        """Flush now and again, for ever."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("key_uses_not_stored")

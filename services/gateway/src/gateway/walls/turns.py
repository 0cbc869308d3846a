"""An owner's requests count one behind the other, so that whoever sends many does not take every connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from gateway.database import StoreBusy


class Turns:
    """Lets few of an owner's calls be under way at a time; the others wait.

    Parameters
    ----------
    at_once
        Calls of one owner at a time.
    patience
        Seconds that a call waits for its turn.
    """

    def __init__(self, *, at_once: int = 2, patience: float) -> None:
        self._at_once = at_once
        self._patience = patience
        self._owners: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, owner: str) -> AsyncIterator[None]:
        """One of the owner's turns, for the length of the block; raises `StoreBusy` when none came."""
        turn = self._owners.setdefault(owner, asyncio.Semaphore(self._at_once))
        try:
            async with asyncio.timeout(self._patience):
                await turn.acquire()
        except TimeoutError:
            raise StoreBusy from None
        try:
            yield
        finally:
            turn.release()

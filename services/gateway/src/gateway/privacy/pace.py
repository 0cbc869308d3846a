"""Who reads an export has to go on reading: there are others who wait for their turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE = 60.0
"""Seconds that a reader may be waited for, all in all, beyond what the least speed grants."""

LEAST = 128 * 1024
"""Bytes a second that are granted to be waited for: a line of a megabit a second."""


class Pace:
    """Gives up a reader who is silent for a minute, or on average slower than `LEAST`.

    Only the time counts in which the reader is waited for: what makes the file may be slow too.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._patience = PATIENCE

    async def keep(self, writing: Awaitable[None], size: int) -> None:
        """Wait until ``size`` bytes were taken.

        Raises
        ------
        ConnectionResetError
            The reader is given up.
        """
        begun = self._clock()
        try:
            async with asyncio.timeout(self._patience):
                await writing
        except TimeoutError:
            self._patience = 0.0
        else:
            self._patience = min(PATIENCE, self._patience - (self._clock() - begun) + size / LEAST)
        if self._patience <= 0:
            msg = "the export was read too slowly"
            raise ConnectionResetError(msg)

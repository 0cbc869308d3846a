"""Keeping book of which ends were announced, and announcing what a crash left unsaid."""

import asyncio
from collections.abc import Sequence

import structlog

from common.errors import Transient
from common.events import Event, Terminal
from recorder.announcement import announcement
from recorder.ports import Log, Projection

log = structlog.get_logger(__name__)

_AT_ONCE = 200
_WAIT = 5.0


class Announcer:
    """Notes announcements in the rows; what is not noted is announced again, under the same id and with the same body.

    Parameters
    ----------
    projection
        Where it is noted.
    log
        Where it is announced.
    """

    def __init__(self, *, projection: Projection, log: Log) -> None:
        self._projection = projection
        self._log = log
        self._left = asyncio.Event()
        self._left.set()

    async def acknowledged(self, events: Sequence[Event]) -> None:
        """Note that terminal events are on the log; never raises."""
        try:
            await self._projection.announced([event for event in events if isinstance(event, Terminal)])
        except Transient:
            self._left.set()

    async def run(self) -> None:
        """Announce what was left at the start, and whatever could not be noted, until cancelled."""
        while True:
            await self._left.wait()
            self._left.clear()
            try:
                await self.leftovers()
            except Transient as error:
                log.warning("cannot announce yet, will try again", error=error.message)
                await asyncio.sleep(_WAIT)
                self._left.set()

    async def leftovers(self) -> int:
        """Announce every job that has ended and was not announced; return how many."""
        count = 0
        while jobs := await self._projection.unannounced(_AT_ONCE):
            events = [announcement(job) for job in jobs]
            for event in events:
                await self._log.publish(event)
            await self._projection.announced(events)
            count += len(jobs)
        return count

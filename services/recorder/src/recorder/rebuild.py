"""`python -m recorder rebuild`: make the projection anew from the log, while everything runs.

The rows are built beside the live ones. Then writers are held, what was published meanwhile is read, and the rows are
swapped, all in one transaction. A recorder that was held goes on after it and records some events once more that are
in the new rows already, which changes nothing.

The topics on which it was announced how jobs ended are read first, and so is what users said: an end that was
announced stays, whatever the other topics' order would make of it. What is no longer on the log is not made up: of a
job older than the retention its end, its transcript and its translations are left, so the way it went (media, plan) is
not. Webhook endpoints and deliveries are not the pipeline's, and stay.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from common.blobs.open import open_blobs
from common.bus.follow import Followed, Log
from common.bus.producer import Producer
from common.bus.stage import Recorded
from common.db.pool import open_pool
from common.errors import Permanent
from common.events import Event
from common.topics import names
from recorder.announce import Announcer
from recorder.erase import Eraser
from recorder.extent import Extent
from recorder.handler import Record
from recorder.scratch import SEARCH_PATH, open_scratch
from recorder.settings import Settings
from recorder.spoken import Spoken
from recorder.store import Store
from recorder.topics import DECIDED, TOLD

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
"""Told how many records were read, of how many there were at the beginning."""


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did: events read, jobs there are now, ends announced that were not on the log, jobs erased."""

    events: int
    jobs: int
    announced: int
    erased: int


@dataclass(frozen=True, slots=True)
class _Read:
    event: Event
    topic: str
    partition: int
    offset: int


async def rebuild(settings: Settings, *, progress: Progress = lambda _read, _total: None) -> Rebuilt:
    """Rebuild the projection, then announce and erase what the log says was left undone.

    Raises
    ------
    Transient
        PostgreSQL or the blob store went away; the live rows are as they were.
    RuntimeError
        Another rebuild is under way.
    """
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(open_blobs(settings))
        live = await stack.enter_async_context(open_pool(settings))
        beside = await stack.enter_async_context(open_pool(settings, search_path=SEARCH_PATH))
        decided = await stack.enter_async_context(_log(settings, DECIDED))
        told = await stack.enter_async_context(_log(settings, TOLD))
        producer = Producer(settings.kafka, service="recorder")
        await producer.start()
        stack.push_async_callback(producer.stop)
        record = Record(projection=Store(beside), spoken=Spoken(blobs), erasing=lambda: None)
        extent = await Extent.of(settings.kafka, _topics((*DECIDED, *TOLD)))
        reading = _Reading(record, settings.batch, extent, progress)
        async with open_scratch(live) as scratch:
            await reading.to_end(decided, told)
            async with scratch.swap():
                await reading.to_end(decided, told)
            jobs = await scratch.jobs()
        store = Store(live)
        return Rebuilt(
            events=reading.events,
            jobs=jobs,
            announced=await Announcer(projection=store, log=producer).leftovers(),
            erased=await Eraser(projection=store, blobs=blobs, log=producer).sweep(),
        )


class _Reading:
    """Records what is read, batch by batch, as the bus would."""

    def __init__(self, record: Record, size: int, extent: Extent, progress: Progress) -> None:
        self._record = record
        self._size = size
        self._extent = extent
        self._progress = progress
        self.events = 0

    async def to_end(self, *logs: Log) -> None:
        """Record what the logs hold up to their present ends, one log after the other."""
        for one in logs:
            batch: list[Recorded] = []
            async for followed in one.to_end():
                self._extent.reached(followed.topic, followed.partition, followed.offset + 1)
                batch += _read(followed)
                if len(batch) >= self._size:
                    await self._batch(batch)
                    batch = []
            await self._batch(batch)

    async def _batch(self, batch: Sequence[Recorded]) -> None:
        if batch:
            await self._apply(batch)
            self.events += len(batch)
        self._progress(self._extent.read, self._extent.total)

    async def _apply(self, batch: Sequence[Recorded]) -> None:
        try:
            await self._record(batch)
        except Permanent as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._apply(batch[:middle])
                await self._apply(batch[middle:])
                return
            # Live it became a dead letter, and the job's `stage.failed` is on the log.
            log.warning("passed over", topic=batch[0].topic, offset=batch[0].offset, code=error.code)


def _log(settings: Settings, events: Sequence[type[Event]]) -> Log:
    return Log(settings.kafka, _topics(events), from_start=True)


def _topics(events: Sequence[type[Event]]) -> list[str]:
    return [topic for event in events for topic in names(event)]


def _read(followed: Followed) -> list[Recorded]:
    if followed.event is None:
        return []
    return [_Read(followed.event, followed.topic, followed.partition, followed.offset)]

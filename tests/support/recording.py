"""The recorder's parts on one database, driven batch by batch, with blobs and a log in memory."""

import asyncpg

from common import layout
from common.bus.stage import BatchStage
from common.events import Event
from common.testing.blobs import MemoryBlobs
from common.testing.memory import run_batch
from common.transcript import Transcript, Utterance
from recorder.announce import Announcer
from recorder.erase import Eraser
from recorder.handler import Record
from recorder.spoken import Spoken
from recorder.store import Store
from recorder.topics import LIVE
from support.stories import Story


class MemoryLog:
    """Keeps what was published and what was made to be forgotten, in order."""

    def __init__(self) -> None:
        self.published: list[Event] = []
        self.forgotten: list[tuple[str, str]] = []

    async def publish(self, event: Event) -> None:
        self.published.append(event)

    async def tombstone(self, topic: str, key: str) -> None:
        self.forgotten.append((topic, key))


class Recorder:
    """The recorder's parts on one database, driven batch by batch."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.store = Store(pool)
        self.blobs = MemoryBlobs()
        self.log = MemoryLog()
        self.eraser = Eraser(projection=self.store, blobs=self.blobs, log=self.log)
        self.announcer = Announcer(projection=self.store, log=self.log)
        handler = Record(projection=self.store, spoken=Spoken(self.blobs), erasing=self.eraser.wake)
        self.stage = BatchStage(events=LIVE, handler=handler)

    async def record(self, *events: Event) -> list[Event]:
        """Record a batch; what it returned counts as acknowledged."""
        outputs = await self.crash_after(*events)
        await self.announcer.acknowledged(outputs)
        return outputs

    async def crash_after(self, *events: Event) -> list[Event]:
        """Record a batch and stop before anything was acknowledged."""
        return await run_batch(self.stage, events)

    async def rows(self, query: str, *arguments: object) -> list[dict[str, object]]:
        return [dict(row) for row in await self.pool.fetch(query, *arguments)]

    async def job(self, story: Story) -> dict[str, object] | None:
        row = await self.pool.fetchrow("SELECT * FROM jobs WHERE id = $1", story.job)
        return None if row is None else dict(row)

    async def say(self, story: Story, *texts: str) -> None:
        """Store a transcript with these utterances."""
        utterances = tuple(Utterance(start=float(n), end=n + 0.5, text=text) for n, text in enumerate(texts))
        transcript = Transcript(text=" ".join(texts), language="en", duration=4.5, utterances=utterances)
        await self.blobs.write(layout.transcript(story.owner, story.job), transcript.model_dump_json().encode())

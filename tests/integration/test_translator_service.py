"""The translator as it runs: its own process, real Kafka, a folder of blobs, Apertium or a fake of the paid engine."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from common import layout
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.bus.follow import read_to_end
from common.bus.producer import Producer
from common.events import BlobRef, Event, StageFailed, TranslationCompleted, TranslationRequested, UsageRecorded
from common.topics import apply
from common.transcript import Transcript, Translation, Utterance
from support.fake_openai_chat import error, fake_chat

SPOKEN = (
    Utterance(start=0.5, end=1.5, text="Good morning.", speaker="Speaker 1"),
    Utterance(start=2.0, end=3.25, text="I see the house.", speaker="Speaker 2"),
)


class World:
    """A Kafka and a folder that the tests here share."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.blobs = FolderBlobs(folder)

    @asynccontextmanager
    async def translator(self, **env: str) -> AsyncIterator[None]:
        prefixes = ("OPENAI_", "DEEPGRAM_", "SCRIBEWIRE_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
        settings = {
            "SCRIBEWIRE_KAFKA": self.kafka,
            "SCRIBEWIRE_BLOBS": self.folder.as_uri(),
            "SCRIBEWIRE_RETRY_DELAYS": "[0.2, 0.4, 0.8]",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "translator", env={**clean, **settings, **env}, cwd=self.folder
        )
        try:
            yield
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def request(self, language: str, translator: str) -> UUID:
        job = uuid4()
        name = layout.transcript("operator", job)
        spoken = Transcript(text=" ".join(u.text for u in SPOKEN), language="en", duration=4.0, utterances=SPOKEN)
        await self.blobs.write(name, spoken.model_dump_json().encode())
        producer = Producer(self.kafka, service="test")
        await producer.start()
        await producer.publish(
            TranslationRequested(
                job_id=job, owner="operator", language=language, source_language="en",
                transcript=BlobRef(name=name), translator=translator,
            )
        )  # fmt: skip
        await producer.stop()
        return job

    async def events(self, job: UUID, *kinds: type[Event]) -> list[Event]:
        found = [record.event async for record in read_to_end(self.kafka, [kind.type for kind in kinds])]
        return [event for event in found if event is not None and event.job_id == job]

    async def ended(self, job: UUID, seconds: float = 60.0) -> Event:
        deadline = time.monotonic() + seconds
        while not (found := await self.events(job, TranslationCompleted, StageFailed)):
            assert time.monotonic() < deadline, "the translation did not end in time"
            await asyncio.sleep(0.2)
        return found[0]


@pytest.fixture
async def world(kafka_bootstrap: str, tmp_path: Path) -> World:
    await apply(kafka_bootstrap)
    return World(kafka_bootstrap, tmp_path)


@pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
async def test_apertium_translates_without_any_key(world: World) -> None:
    async with world.translator():
        job = await world.request("es", "apertium")
        done = await world.ended(job)
    assert isinstance(done, TranslationCompleted)
    assert done.text == "Buenos días. Veo la casa."
    stored = Translation.model_validate_json(await read_all(world.blobs, done.translation.name))
    assert [(u.start, u.end, u.speaker) for u in stored.utterances] == [(u.start, u.end, u.speaker) for u in SPOKEN]
    assert await world.events(job, UsageRecorded) == []


async def test_a_paid_translation_is_retried_and_paid_once(world: World) -> None:
    async with fake_chat() as fake:
        fake.scripts = [error(429, "slow down", code="rate_limit_exceeded"), error(500, "oops")]
        async with world.translator(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=fake.url):
            job = await world.request("fr", "openai")
            done = await world.ended(job)
        assert len(fake.calls) == 3
    assert isinstance(done, TranslationCompleted)
    assert done.text == "<Good morning.> <I see the house.>"
    (usage,) = await world.events(job, UsageRecorded)
    assert isinstance(usage, UsageRecorded)
    assert (usage.provider, usage.tokens) == ("openai", 30)


async def test_a_translator_without_its_key_fails_by_name(world: World) -> None:
    async with world.translator():
        job = await world.request("fr", "openai")
        failed = await world.ended(job)
    assert isinstance(failed, StageFailed)
    assert (failed.stage, failed.failed_part, failed.error.code) == ("translator", "fr", "translator_missing")

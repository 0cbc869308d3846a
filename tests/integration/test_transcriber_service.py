"""The transcriber as it runs: its own process, real Kafka, a folder of blobs, a fake provider where money is spent."""

import asyncio
import hashlib
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common import layout
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.bus.follow import read_to_end
from common.bus.producer import Producer
from common.events import SegmentTranscribed, StageFailed, StageProgress, TranscriptCompleted, UsageRecorded
from common.options import JobOptions
from common.topics import apply
from common.transcript import Transcript
from support.fake_deepgram import FakeDeepgram
from support.paid_calls import Answer
from support.segments import silence, store_job

SAMPLES = Path(__file__).parents[2] / "samples"


class World:
    """What the tests of one Kafka and one folder share."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.blobs = FolderBlobs(folder)

    @asynccontextmanager
    async def transcriber(self, **env):
        """A transcriber's process; SIGTERM at the end, and it must leave with 0."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DEEPGRAM_", "OPENAI_", "SCRIBEWIRE_"))}
        settings = {
            "SCRIBEWIRE_KAFKA": self.kafka,
            "SCRIBEWIRE_BLOBS": self.folder.as_uri(),
            "SCRIBEWIRE_LEASE_TTL": "2",
            "SCRIBEWIRE_RETRY_DELAYS": "[0.5, 1, 2]",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "transcriber", env={**clean, **settings, **env}, cwd=self.folder
        )
        try:
            yield process
            if process.returncode is None:
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def publish(self, events):
        producer = Producer(self.kafka, service="test")
        await producer.start()
        await producer.publish_many(events)
        await producer.stop()

    async def events(self, job, *kinds):
        """Everything on the topics of some kinds of event about a job."""
        topics = [kind.type for kind in kinds]
        found = [record.event async for record in read_to_end(self.kafka, topics)]
        return [event for event in found if event is not None and event.job_id == job]

    async def ended(self, job, *, seconds=60.0):
        """The job's transcript or failure, once there is one."""
        deadline = time.monotonic() + seconds
        while not (found := await self.events(job, TranscriptCompleted, StageFailed)):
            assert time.monotonic() < deadline, "the job did not end in time"
            await asyncio.sleep(0.2)
        return found[0]


@pytest.fixture
async def world(kafka_bootstrap, tmp_path):
    await apply(kafka_bootstrap)
    return World(kafka_bootstrap, tmp_path)


def paid(fake):
    return {"DEEPGRAM_API_KEY": fake.key, "DEEPGRAM_BASE_URL": fake.url}


async def test_speech_becomes_a_transcript_without_any_key(world):
    ready = await store_job(world.blobs, [(SAMPLES / name).read_bytes() for name in ("monologue.wav", "dialogue.wav")])
    await world.publish(reversed(ready))
    async with world.transcriber():
        completed = await world.ended(ready[0].job_id)
        await world.events(ready[0].job_id, StageProgress)
    assert isinstance(completed, TranscriptCompleted)
    transcript = Transcript.model_validate_json(await read_all(world.blobs, completed.transcript.name))
    assert transcript.words[-1].start > ready[1].start
    assert len(transcript.text.split()) == len(transcript.words) == completed.words > 100
    usages = await world.events(ready[0].job_id, UsageRecorded)
    assert {(u.provider, u.cost_usd) for u in usages} == {("pocketsphinx", 0.0)}
    progress = await world.events(ready[0].job_id, StageProgress)
    assert all(0 <= p.fraction <= 1 for p in progress)
    assert any(p.fraction > 0 for p in progress)


async def test_silence_is_a_completed_job_with_no_words(world):
    ready = await store_job(world.blobs, [silence(2)])
    await world.publish(ready)
    async with world.transcriber():
        completed = await world.ended(ready[0].job_id)
    assert (completed.text, completed.words, completed.segments) == ("", 0, 1)


async def test_a_refusal_fails_the_job_and_an_overload_does_not(world):
    refused = await store_job(world.blobs, [silence(2)], provider="deepgram")
    async with FakeDeepgram() as fake, world.transcriber(**paid(fake)):
        fake.script(Answer(400, {"err_code": "Bad Request", "err_msg": "corrupt or unsupported data"}))
        await world.publish(refused)
        failed = await world.ended(refused[0].job_id)
        fake.script(Answer(429, {"err_msg": "too many"}, {"Retry-After": "1"}), Answer(drop=True))
        overloaded = await store_job(world.blobs, [silence(2, mark=1)], provider="deepgram")
        await world.publish(overloaded)
        completed = await world.ended(overloaded[0].job_id)
    assert isinstance(failed, StageFailed)
    assert failed.error.code == "provider_refused"
    assert "corrupt or unsupported data" in failed.error.message
    assert fake.key not in failed.model_dump_json()
    assert isinstance(completed, TranscriptCompleted)
    assert list(fake.paid().values()) == [1]


def _result(event):
    return layout.segment_result(event.owner, event.job_id, event.index)


async def test_a_killed_payer_costs_no_more_than_what_it_had_in_flight(world):
    count = 30
    options = JobOptions(provider="deepgram")
    audio = [silence(1, mark=i) for i in range(count)]
    ready = await store_job(world.blobs, audio, provider="deepgram", options=options)
    async with FakeDeepgram(latency=0.5) as fake:
        await world.publish(ready)
        async with world.transcriber(**paid(fake), SCRIBEWIRE_CONCURRENCY="5") as first:
            async with asyncio.timeout(60):
                while len(fake.paid()) < 8:
                    await asyncio.sleep(0.02)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        begun = {call.sha256 for call in fake.calls}
        stored = {hashlib.sha256(audio[e.index]).hexdigest() for e in ready if await world.blobs.stat(_result(e))}
        assert 8 - 5 <= len(stored) < count
        async with world.transcriber(**paid(fake), SCRIBEWIRE_CONCURRENCY="5"):
            completed = await world.ended(ready[0].job_id, seconds=90)
    assert isinstance(completed, TranscriptCompleted)
    assert completed.segments == count
    twice = {sha for sha, times in fake.paid().items() if times > 1}
    assert twice <= begun - stored
    assert len(twice) <= 5
    usages = await world.events(ready[0].job_id, UsageRecorded)
    assert len({u.usage_id for u in usages}) == count
    assert len({u.model_dump_json() for u in usages}) == count
    done = await world.events(ready[0].job_id, SegmentTranscribed)
    assert {e.index for e in done} == set(range(count))

"""The transcoder as a process on real Kafka: an upload goes in, segments, progress and failures come out."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from common.blobs.folder import FolderBlobs
from common.bus.follow import Log
from common.bus.producer import Producer
from common.events import Event, SegmentReady, StageFailed, StageProgress
from common.topics import apply
from support import media
from support.transcoding import Room
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    """The blobs that the process uses too."""
    blobs = tmp_path / "blobs"
    blobs.mkdir(mode=0o700)
    return Room(FolderBlobs(blobs), await FfmpegDecoder.detect(TranscoderSettings()))


@pytest.fixture
async def process(kafka_bootstrap: str, room: Room, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m transcoder`."""
    await apply(kafka_bootstrap, partitions=2)
    environment = {
        **os.environ,
        "SCRIBEWIRE_KAFKA": kafka_bootstrap,
        "SCRIBEWIRE_BLOBS": (tmp_path / "blobs").as_uri(),
    }
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "transcoder", env=environment)
    yield started
    if started.returncode is None:
        started.kill()
        await started.wait()


def kinds(seen: list[Event]) -> list[type[Event]]:
    return [type(event) for event in seen]


async def test_uploads_become_segments_or_a_failure_and_a_stop_is_clean(
    kafka_bootstrap: str, room: Room, process: asyncio.subprocess.Process
) -> None:
    good = await room.upload((media.SAMPLES / "monologue.wav").read_bytes(), max_seconds=10)
    bad = await room.upload((media.SAMPLES / "corrupt.mp3").read_bytes())
    topics = [SegmentReady.type + ".interactive", StageProgress.type, StageFailed.type]
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        log = await stack.enter_async_context(Log(kafka_bootstrap, topics))
        producer = Producer(kafka_bootstrap, service="tests")
        await producer.start()
        stack.push_async_callback(producer.stop)
        await producer.publish_many([good, bad])
        seen: list[Event] = []
        async for followed in log:
            # The broker is shared: uploads of other tests may be worked off here as well.
            if followed.event is not None and followed.event.job_id in {good.job_id, bad.job_id}:
                seen.append(followed.event)
            if kinds(seen).count(SegmentReady) >= 2 and {StageFailed, StageProgress} <= set(kinds(seen)):
                break
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert {event.index for event in seen if isinstance(event, SegmentReady)} == {0, 1}
    assert {event.job_id for event in seen if isinstance(event, SegmentReady)} == {good.job_id}
    (failed,) = [event for event in seen if isinstance(event, StageFailed)]
    assert (failed.job_id, failed.stage, failed.error.code) == (bad.job_id, "transcoder", "not_media")

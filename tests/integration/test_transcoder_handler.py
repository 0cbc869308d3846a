"""The transcoder's promises about repeats, cancellation, progress, memory and a store that is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import psutil
import pytest

from common import layout
from common.blobs.folder import FolderBlobs
from common.bus import EachStage
from common.errors import Permanent, Transient
from common.events import SegmentReady, UploadReceived
from common.testing.blobs import MemoryBlobs
from support import media
from support.transcoding import OWNER, Nowhere, Room, Told, workers
from transcoder.__main__ import build
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.handler import Transcode
from transcoder.ports import Decoder, Decoding, Keeping
from transcoder.settings import TranscoderSettings

MONOLOGUE = (media.SAMPLES / "monologue.wav").read_bytes()


class Untouched(Decoder):
    """A decoder that must not be used."""

    def open(self, source: Path, keeping: Keeping | None = None) -> AbstractAsyncContextManager[Decoding]:
        raise AssertionError(source)


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An hour of silence in the form that is decoded fastest."""
    return media.long_silence(tmp_path_factory.mktemp("hour"), minutes=60, source="r=16000:cl=mono").read_bytes()


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Five minutes of silence: many more than a decoder can have decoded before somebody takes its audio."""
    return media.long_silence(tmp_path_factory.mktemp("minutes"), minutes=5, source="r=16000:cl=mono").read_bytes()


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    """Blobs in a folder and real workers."""
    settings = TranscoderSettings()
    return Room(FolderBlobs(tmp_path), await FfmpegDecoder.detect(settings))


async def test_a_job_with_a_manifest_is_not_decoded_again(room: Room) -> None:
    event = await room.upload(MONOLOGUE, max_seconds=5)
    first, again = await room.transcode(event), await Room(room.blobs, Untouched()).transcode(event)
    assert [segment.id for segment in first] == [segment.id for segment in again]
    assert [segment.model_dump(exclude={"time"}) for segment in first] == [
        segment.model_dump(exclude={"time"}) for segment in again
    ]


async def test_work_that_was_broken_off_is_taken_up_again(room: Room) -> None:
    event = await room.upload(MONOLOGUE, max_seconds=5)
    whole = await room.transcode(event)
    await room.blobs.remove(layout.manifest(OWNER, event.job_id))
    await room.blobs.remove(whole[-1].audio.name)
    assert [segment.id for segment in await room.transcode(event)] == [segment.id for segment in whole]


async def test_a_segment_that_another_decoder_cut_elsewhere_is_replaced(room: Room) -> None:
    event = await room.upload(MONOLOGUE, max_seconds=5)
    await room.blobs.write(layout.segment_audio(OWNER, event.job_id, 1), b"cut elsewhere")
    segments = await room.transcode(event)
    assert len(await room.samples(segments[1])) == round((segments[1].end - segments[1].start) * 32_000)


async def test_a_failure_after_anothers_success_takes_nothing_away(room: Room) -> None:
    event = await room.upload(MONOLOGUE, max_seconds=5)

    class StoodStill(Decoder):
        """A decoder whose process was stopped, and wakes when another has done the work."""

        @asynccontextmanager
        async def open(self, source: Path, keeping: Keeping | None = None) -> AsyncIterator[Decoding]:
            done.extend(await room.transcode(event))
            raise Permanent("decoder_limits", "Too long.")
            yield

    done: list[SegmentReady] = []
    late = await Room(room.blobs, StoodStill()).transcode(event)
    assert [segment.id for segment in late] == [segment.id for segment in done]
    assert all([await room.samples(segment) for segment in done])


async def test_two_at_once_agree(room: Room) -> None:
    event = await room.upload(MONOLOGUE, max_seconds=5)
    one, other = await asyncio.gather(room.transcode(event), room.transcode(event))
    assert [segment.id for segment in one] == [segment.id for segment in other]
    assert len(await room.audio_blobs(event.job_id)) == len(one) + 1


async def test_cancelling_ends_the_decoder_and_leaves_nothing(room: Room, minutes: bytes) -> None:
    event = await room.upload(minutes)
    context = Told(cancel_when=lambda told: told.asked > 50)
    assert await room.transcode(event, context) == []
    assert await room.audio_blobs(event.job_id) == []
    assert context.progress[-1].fraction < 1
    assert not workers()


async def test_a_job_cancelled_at_the_very_end_leaves_nothing(room: Room, tmp_path: Path) -> None:
    event = await room.upload(MONOLOGUE)
    context = Told(cancel_when=lambda _: any(tmp_path.rglob("*.wav")))
    assert await room.transcode(event, context) == []
    assert await room.audio_blobs(event.job_id) == []


async def test_a_drain_that_is_over_ends_the_decoder(room: Room, minutes: bytes, tmp_path: Path) -> None:
    event = await room.upload(minutes)

    def end(_: Told) -> bool:
        if any(tmp_path.rglob("*.wav")):  # in mid-file: the decoder waits until its audio is taken
            work.cancel()
        return False

    work = asyncio.create_task(room.transcode(event, Told(cancel_when=end)))
    await asyncio.wait({work})
    assert work.cancelled()
    assert not workers()


async def test_progress_rises_at_most_once_a_second(room: Room, minutes: bytes) -> None:
    event = await room.upload(minutes)
    context = Told()
    ticks = count(0, 0.3)
    await room.transcode(event, context, clock=lambda: next(ticks))
    fractions = [progress.fraction for progress in context.progress]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    between = context.progress[1:-1]
    assert 10 < len(between) < next(ticks) / 1.0
    assert all(progress.duration == 300 and progress.media for progress in between)


@pytest.mark.parametrize("max_seconds", [30.0, None])
async def test_memory_does_not_grow_with_the_audio(room: Room, hour: bytes, max_seconds: float | None) -> None:
    event = await room.upload(hour, max_seconds=max_seconds)
    process = psutil.Process()
    peak = before = process.memory_info().rss

    def look(_: Told) -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        return False

    segments = await room.transcode(event, Told(cancel_when=look))
    assert segments[-1].end == 3600
    assert (len(segments) == 1) is (max_seconds is None)
    assert peak - before < 60_000_000  # the samples are 115 MB


async def test_an_upload_that_is_gone(room: Room) -> None:
    event = await room.upload(MONOLOGUE)
    await room.blobs.remove(event.source.name)
    with pytest.raises(Permanent) as caught:
        await room.transcode(event)
    assert caught.value.code == "source_missing"


async def test_a_store_that_is_down_is_waited_for(room: Room) -> None:
    blobs = MemoryBlobs()
    blobs.down = True
    with pytest.raises(Transient):
        await Transcode(blobs=blobs, decoder=Untouched(), remote=Nowhere())(await room.upload(MONOLOGUE), Told())


async def test_a_store_that_goes_down_meanwhile_is_waited_for(room: Room) -> None:
    blobs = MemoryBlobs()
    event = await room.upload(MONOLOGUE, max_seconds=5)
    await blobs.write(event.source.name, MONOLOGUE)

    def pull_the_plug(_: Told) -> bool:
        blobs.down = True
        return False

    handler = Transcode(blobs=blobs, decoder=room.decoder, remote=Nowhere())
    with pytest.raises(Transient):
        await handler(event, Told(cancel_when=pull_the_plug))
    blobs.down = False
    assert len(list(await handler(event, Told()))) >= 4


async def test_the_service_is_joined_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_BLOBS", tmp_path.as_uri())
    monkeypatch.setenv("SCRIBEWIRE_CONCURRENCY", "3")
    async with build() as service:
        (stage,) = service.stages
        assert isinstance(stage, EachStage)
        assert (service.name, stage.event, stage.concurrency, stage.leased) == ("transcoder", UploadReceived, 3, True)
        assert service.leases is not None

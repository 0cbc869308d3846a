"""Every format in the table: written by a real, shut-in worker, and read back by another reader."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.errors import Permanent
from common.events import UploadReceived
from common.options import JobOptions
from common.stored_audio import StoredAudio
from support import media
from support.transcoding import OWNER, Nowhere, Room, Told
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.handler import Transcode
from transcoder.kept import Kept
from transcoder.settings import TranscoderSettings

PADDING = 0.05
"""Seconds by which a reader's idea of the length may differ: a codec begins and ends in frames of its own."""


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[FfmpegDecoder]:
    made = await FfmpegDecoder.detect(TranscoderSettings())
    yield made
    made.close()


@pytest.fixture
def room(tmp_path: Path, decoder: FfmpegDecoder) -> Room:
    return Room(FolderBlobs(tmp_path), decoder)


@pytest.fixture(scope="module")
def surround(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six channels at 96 kHz: more of both than is stored."""
    path = tmp_path_factory.mktemp("surround") / "surround.flac"
    media.make("-t", "2", "-i", media.SAMPLES / "monologue.wav", "-ar", "96000", "-ac", "6", path)
    return path.read_bytes()


async def upload(room: Room, data: bytes, audio_format: str) -> UploadReceived:
    event = await room.upload(data)
    return event.model_copy(update={"options": JobOptions(audio_format=audio_format)})


async def stored(room: Room, event: UploadReceived) -> tuple[StoredAudio, bytes]:
    """What the manifest tells of the audio that was stored, and its bytes."""
    told = StoredAudio.among((await room.manifest(event.job_id)).media)
    assert told is not None
    name = layout.stored_audio(OWNER, event.job_id, AUDIO_FORMATS[told.format].ending)
    return told, await read_all(room.blobs, name)


def read_back(content: bytes) -> tuple[StoredAudio, float]:
    """What another reader finds in a file; its length as its container has it and as it is decoded."""
    with av.open(io.BytesIO(content), "r") as container:
        [stream] = container.streams
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        announced = (container.duration or 0) / 1_000_000
        heard = sum(frame.samples for frame in container.decode(stream)) / context.sample_rate
        found = StoredAudio(
            container.format.name,
            context.codec.canonical_name,
            context.channels,
            context.sample_rate,
            announced,
            len(content),
        )
        return found, heard


@pytest.mark.parametrize("name", AUDIO_FORMATS)
async def test_a_recording_is_stored_as_the_table_says(room: Room, surround: bytes, name: str) -> None:
    events = [await upload(room, surround, name) for _ in range(2)]
    for event in events:
        await room.transcode(event)
    told, content = await stored(room, events[0])
    found, heard = read_back(content)
    assert (told.format, told.codec, told.size) == (name, AUDIO_FORMATS[name].codec, len(content))
    assert (found.codec, found.channels, found.sample_rate) == (told.codec, 2, 48_000)
    assert (told.channels, told.sample_rate) == (2, 48_000)
    assert told.seconds == pytest.approx(2.0, abs=0.001)
    assert [found.seconds, heard] == pytest.approx([told.seconds] * 2, abs=PADDING)
    assert (await stored(room, events[1]))[1] == content, "the same recording is the same file"


@pytest.mark.parametrize("name", ["wav", "mp3", "flac"])
async def test_one_channel_and_a_low_rate_stay_as_they_are(room: Room, tmp_path: Path, name: str) -> None:
    path = media.speech_file("phone-8k.wav", tmp_path, seconds=2)
    event = await upload(room, path.read_bytes(), name)
    await room.transcode(event)
    told, content = await stored(room, event)
    found, _ = read_back(content)
    assert (told.channels, told.sample_rate) == (found.channels, found.sample_rate) == (1, 8000)


async def test_gaps_are_silence_so_that_times_fit(room: Room, tmp_path: Path) -> None:
    film, speech = tmp_path / "late.mkv", media.SAMPLES / "monologue.wav"
    media.make("-f", "lavfi", "-t", "3", "-i", "color=size=16x16:rate=5", "-itsoffset", "1.5", "-t", "1", "-i", speech,
               "-c:v", "mpeg4", "-c:a", "flac", film)  # fmt: skip
    event = await upload(room, film.read_bytes(), "wav")
    await room.transcode(event)
    told, content = await stored(room, event)
    assert told.seconds == pytest.approx(2.5, abs=0.05)
    samples = content[-int(told.seconds * told.sample_rate) * 2 :]
    assert not any(samples[: int(1.4 * told.sample_rate) * 2])
    assert any(samples[int(1.6 * told.sample_rate) * 2 :])


async def test_without_the_option_nothing_more_is_stored_or_told(room: Room) -> None:
    event = await room.upload((media.SAMPLES / "monologue.wav").read_bytes())
    segments = await room.transcode(event)
    manifest = await room.manifest(event.job_id)
    assert StoredAudio.among(manifest.media) is None
    assert len(await room.audio_blobs(event.job_id)) == len(segments) + 1
    assert "audio_format" not in event.model_dump_json()


async def test_a_redelivery_finds_the_file_and_the_last_word_tells_of_it(room: Room) -> None:
    event = await upload(room, (media.SAMPLES / "monologue.wav").read_bytes(), "opus")
    await room.transcode(event)
    before = await stored(room, event)
    await room.blobs.remove(layout.manifest(OWNER, event.job_id))
    told = Told()
    await room.transcode(event, told)
    assert await stored(room, event) == before
    assert told.progress[-1].media == (await room.manifest(event.job_id)).media


async def test_a_file_that_would_be_too_large_fails_the_job_and_leaves_nothing(room: Room) -> None:
    event = await upload(room, (media.SAMPLES / "monologue.wav").read_bytes(), "wav")
    handler = Transcode(blobs=room.blobs, decoder=room.decoder, remote=Nowhere(), largest_audio=300_000)
    with pytest.raises(Permanent) as caught:
        await handler(event, Told())
    assert caught.value.code == "audio_too_large"
    assert "Ask for another audio_format" in caught.value.message
    assert await room.audio_blobs(event.job_id) == []


async def test_a_cancelled_job_leaves_nothing(room: Room, tmp_path: Path) -> None:
    event = await upload(room, (media.SAMPLES / "monologue.wav").read_bytes(), "flac")
    stored_meanwhile: list[bool] = []

    def cancelled(_told: Told) -> bool:
        """When the file lies there already: the last moment at which anybody looks."""
        name = layout.stored_audio(OWNER, event.job_id, "flac")
        stored_meanwhile.append((tmp_path / name).exists())
        return stored_meanwhile[-1]

    assert await room.transcode(event, Told(cancel_when=cancelled)) == []
    assert stored_meanwhile[-1]
    assert await room.audio_blobs(event.job_id) == []


@pytest.mark.parametrize(("at", "size", "code"), [(1, 1, "audio_not_stored"), (0, 11, "audio_too_large")])
async def test_a_decoder_cannot_write_where_it_likes(at: int, size: int, code: str) -> None:
    with Kept("mp3", largest=10) as kept, pytest.raises(Permanent) as caught:
        await kept.take(at, bytes(size))
    assert caught.value.code == code


@pytest.mark.parametrize(("channels", "rate", "size"), [(0, 0, 1), (3, 48_000, 1), (2, 96_000, 1), (2, 48_000, 0)])
async def test_what_a_decoder_says_of_its_file_is_checked(room: Room, channels: int, rate: int, size: int) -> None:
    event = await upload(room, b"x", "flac")
    with Kept("flac", largest=10) as kept:
        await kept.take(0, bytes(size))
        kept.written(channels=channels, sample_rate=rate)
        with pytest.raises(Permanent) as caught:
            await kept.store(room.blobs, OWNER, event.job_id, seconds=1.0)
    assert caught.value.code == "audio_not_stored"
    assert await room.audio_blobs(event.job_id) == []

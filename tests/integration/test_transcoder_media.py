"""Real workers, real blobs: every kind of media becomes segments, everything else a clear refusal."""

import asyncio
import re
import shutil
import signal
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.blobs.folder import FolderBlobs
from common.errors import Permanent, Transient
from support import media
from support.transcoding import Room, Told, workers
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings

REAL_SPEECH = Path(__file__).parents[3] / "shared" / "audio"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for made media, emptied at once since some are large."""
    made = tmp_path / "made"
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An hour of silence in less than 4 MB."""
    data = media.long_silence(tmp_path_factory.mktemp("bomb"), minutes=60).read_bytes()
    assert len(data) < 4_000_000
    return data


async def room(tmp_path: Path, **limits: Any) -> Room:
    blobs = tmp_path / "blobs"
    blobs.mkdir(mode=0o700, exist_ok=True)
    settings = TranscoderSettings(**limits)
    return Room(FolderBlobs(blobs), await FfmpegDecoder.detect(settings))


async def refusal(room: Room, data: bytes) -> Permanent:
    event = await room.upload(data)
    with pytest.raises(Permanent) as caught:
        await room.transcode(event)
    assert await room.audio_blobs(event.job_id) == []
    assert not workers()
    assert "/" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(("codec", "rate"), [("dts", "1411200"), ("ac3", "192000"), ("ac3", "640000")])
async def test_a_codec_that_a_wav_passes_for_samples_is_decoded(
    tmp_path: Path, folder: Path, codec: str, rate: str
) -> None:
    """As on DTS CDs: played as samples it would be noise, louder than any speech."""
    raw, wav = folder / f"raw.{codec}", folder / "disguised.wav"
    spoken = ("-i", media.SAMPLES / "monologue.wav", "-ar", "48000" if codec == "ac3" else "44100", "-ac", "2")
    media.make(*spoken, "-c:a", "dca" if codec == "dts" else codec, "-strict", "-2", "-b:a", rate, raw)
    with wave.open(str(wav), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000 if codec == "ac3" else 44_100)
        file.writeframes(raw.read_bytes())
    here = await room(tmp_path)
    (segment,) = await here.transcode_file(wav, max_seconds=None)
    assert (await here.manifest(segment.job_id)).media["codec"] == codec
    assert segment.end == pytest.approx(17.245, abs=0.2)


@pytest.mark.parametrize("name", ["monologue.wav", "dialogue.wav", "video.mp4"])
async def test_samples_become_segments(tmp_path: Path, name: str) -> None:
    here = await room(tmp_path)
    context = Told()
    event = await here.upload((media.SAMPLES / name).read_bytes(), max_seconds=8.5)
    segments = await here.transcode(event, context)
    manifest = await here.manifest(event.job_id)
    assert [segment.index for segment in segments] == list(range(len(segments)))
    assert {segment.count for segment in segments} == {len(segments)}
    assert len(segments) == (1 if name == "video.mp4" else 3)
    ends = [0.0, *(segment.end for segment in segments)]
    assert [segment.start for segment in segments] == ends[:-1]
    assert ends[-1] == manifest.duration
    assert sum([len(await here.samples(segment)) for segment in segments]) == manifest.duration * 32_000
    assert [told.fraction for told in context.progress] == [0.0, 1.0]
    assert context.progress[-1].duration == manifest.duration
    assert context.progress[-1].media == manifest.media


@pytest.mark.parametrize("kind", media.KINDS)
async def test_every_kind_of_media(tmp_path: Path, folder: Path, kind: str) -> None:
    here = await room(tmp_path)
    (segment,) = await here.transcode_file(media.speech_file(kind, folder))
    assert segment.end == pytest.approx(4.0, abs=0.25)
    samples = array("h", await here.samples(segment))
    assert max(samples) > 3000
    described = (await here.manifest(segment.job_id)).media
    assert "note" not in described
    assert described["codec"] != "unknown"
    assert described["channels"] in {1, 2, 6}
    assert int(described["sample_rate"]) >= 8000


@pytest.mark.parametrize("name", ["digits.wav", "english.wav", "french.aiff", "jfk.flac", "lj.wav", "two_speakers.wav"])
async def test_recordings_of_people(tmp_path: Path, name: str) -> None:
    if not (REAL_SPEECH / name).exists():
        pytest.skip("the recordings are not part of the project")
    here = await room(tmp_path)
    segments = await here.transcode_file(REAL_SPEECH / name, max_seconds=5)
    assert all(segment.end - segment.start <= 5 for segment in segments)
    assert segments[-1].end > 2


async def test_times_are_those_of_the_picture(tmp_path: Path, folder: Path) -> None:
    here = await room(tmp_path)
    (segment,) = await here.transcode_file(media.late_audio(folder, late=3, gap=5))
    samples = array("h", await here.samples(segment))
    heard = [any(abs(value) > 500 for value in samples[at : at + 1600]) for at in range(0, len(samples), 1600)]
    changes = [at / 10 for at in range(1, len(heard)) if heard[at] != heard[at - 1]]
    assert changes[:3] == pytest.approx([3, 5, 10], abs=0.21)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"x", "not_media"),
        (media.zip_bytes(), "not_media"),
        (media.noise_bytes(), "not_media"),
        (bytes(100_000), "not_media"),
        ((media.SAMPLES / "corrupt.mp3").read_bytes(), "not_media"),
        (b"<html><body>Not found</body></html>", "not_media"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "not_media"),
        (media.wav_bytes(), "empty_audio"),
        (media.wav_bytes(channels=100, data=bytes(200 * 1600)), "undecodable"),
    ],
    ids=["empty", "byte", "zip", "noise", "zeros", "corrupt-mp3", "html", "png", "empty-wav", "100-channels"],
)
async def test_what_is_no_media_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    assert (await refusal(await room(tmp_path), data)).code == code


async def test_a_video_without_sound(tmp_path: Path, folder: Path) -> None:
    assert (await refusal(await room(tmp_path), media.silent_film(folder).read_bytes())).code == "no_audio"


async def test_protected_media(tmp_path: Path, folder: Path) -> None:
    assert (await refusal(await room(tmp_path), media.encrypted_mp4(folder).read_bytes())).code == "encrypted"


async def test_a_title_is_not_taken_for_a_protection(tmp_path: Path, folder: Path) -> None:
    here = await room(tmp_path)
    (segment,) = await here.transcode_file(media.tagged(folder, "speech.m4a", title="Meeting in Cuenca"))
    assert segment.end == pytest.approx(4.0, abs=0.25)


@pytest.mark.parametrize("kind", ["speech.mp3", "speech.ogg", "speech.m4a", "speech.flac"])
async def test_a_comment_is_not_taken_for_an_error(tmp_path: Path, folder: Path, kind: str) -> None:
    here = await room(tmp_path)
    comment = "Track list\nexceeds max_streams\nTruncated, Cannot allocate memory\nOutput #0, s16le"
    (segment,) = await here.transcode_file(media.tagged(folder, kind, comment=comment))
    assert segment.end == pytest.approx(4.0, abs=0.25)
    assert "note" not in (await here.manifest(segment.job_id)).media


@pytest.mark.parametrize("kind", ["film.mp4", "speech.m4a", "film.mov"])
async def test_a_movie_cut_off_before_its_index(tmp_path: Path, folder: Path, kind: str) -> None:
    part = media.cut_off(media.speech_file(kind, folder), keep=0.6)
    assert (await refusal(await room(tmp_path), part.read_bytes())).code == "truncated"


@pytest.mark.parametrize(
    "kind", ["plain.wav", "film-faststart.mp4", "film.mkv", "film.webm", "speech.flac", "speech.mp3"]
)
async def test_a_file_that_breaks_off_is_refused_and_leaves_no_segments(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    here = await room(tmp_path)
    refused = await refusal(here, media.cut_off(media.speech_file(kind, folder), keep=0.6).read_bytes())
    assert refused.code == "truncated"
    assert re.search(r"breaks off after [12]\.\d", refused.message)
    assert [blob.name async for blob in here.blobs.list("") if blob.name.endswith(".wav")] == []


async def test_a_file_that_broke_off_in_its_first_second(tmp_path: Path) -> None:
    start = (media.SAMPLES / "monologue.wav").read_bytes()[:20_000]
    assert (await refusal(await room(tmp_path), start)).code == "truncated"


async def test_a_header_that_promises_hours(tmp_path: Path) -> None:
    here = await room(tmp_path)
    event = await here.upload(media.wav_bytes(claimed=0xFFFF_FF00, data=bytes(32_000 * 3)))
    (segment,) = await here.transcode(event)
    assert segment.end == pytest.approx(3.0, abs=0.01)


async def test_silence_is_audio(tmp_path: Path, folder: Path) -> None:
    here = await room(tmp_path)
    (segment,) = await here.transcode_file(media.silence(folder, seconds=2))
    assert segment.end == 2.0


async def test_a_decoder_bomb_is_stopped_at_the_limit(tmp_path: Path, bomb: bytes) -> None:
    assert (await refusal(await room(tmp_path, max_audio_seconds=120), bomb)).code == "too_long"


async def test_very_many_tracks(tmp_path: Path, folder: Path) -> None:
    tracks = media.many_tracks(folder, tracks=300).read_bytes()
    assert (await refusal(await room(tmp_path), tracks)).code == "decoder_limits"


async def test_computing_time_is_limited(tmp_path: Path, bomb: bytes) -> None:
    assert (await refusal(await room(tmp_path, decoder_cpu_seconds=1), bomb)).code == "decoder_limits"


async def test_waiting_is_limited(tmp_path: Path, bomb: bytes) -> None:
    assert (await refusal(await room(tmp_path, decoder_wall_seconds=0.05), bomb)).code == "decoder_limits"


async def decoding(work: asyncio.Task[Any]) -> psutil.Process:
    async with asyncio.timeout(10):
        while not (running := [worker for worker in workers() if worker.cpu_times().user > 0]):
            assert not work.done()
            await asyncio.sleep(0.001)
    return running[0]


async def test_a_decoder_that_hangs_is_killed(tmp_path: Path, bomb: bytes) -> None:
    here = await room(tmp_path, decoder_stall_seconds=0.5)
    work = asyncio.create_task(here.transcode(await here.upload(bomb)))
    process = await decoding(work)
    process.suspend()
    with pytest.raises(Permanent) as caught:
        await asyncio.wait_for(work, 20)
    assert caught.value.code == "decoder_limits"
    assert not process.is_running()


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM"])
async def test_a_decoder_that_somebody_else_ends_is_tried_again(tmp_path: Path, bomb: bytes, signal_name: str) -> None:
    here = await room(tmp_path)

    signalled: list[psutil.Process] = []

    def interfere(_: Told) -> bool:
        if not signalled and any(tmp_path.rglob("*.wav")):  # in mid-file: the decoder waits until its audio is taken
            signalled.extend(workers())
            signalled[0].send_signal(signal.Signals[signal_name])
        return False

    event = await here.upload(bomb)
    with pytest.raises(Transient):
        await asyncio.wait_for(here.transcode(event, Told(cancel_when=interfere)), 20)
    assert signalled


async def test_no_playlist_is_followed(tmp_path: Path) -> None:
    canary = tmp_path / "canary.wav"
    canary.write_bytes((media.SAMPLES / "monologue.wav").read_bytes())
    canary.chmod(0o644)
    hits: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    here = await room(tmp_path)
    async with server:
        for name, data in media.playlists(url, canary).items():
            assert (await refusal(here, data)).code in {"not_media", "no_audio"}, name
    assert hits == []

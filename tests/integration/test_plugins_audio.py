"""The plug-ins that come along, on real speech, and plug-ins of others in the transcoder."""

import asyncio
import re
import subprocess
from difflib import SequenceMatcher
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from common.blobs.folder import FolderBlobs
from common.errors import Permanent
from common.events import SegmentReady, UploadReceived
from common.options import JobOptions
from common.places import heard_at
from common.plugins import RATE, Audio
from scribewire_plugins.levels import FRAME, levels
from scribewire_plugins.loudness import Loudness
from scribewire_plugins.noise_reduction import NoiseReduction
from scribewire_plugins.silence_trimming import SilenceTrimming
from support.media import SAMPLES, ffmpeg_program
from support.plugins import install, on_path
from support.segments import wav
from support.transcoding import Room
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings
from transcriber.providers.pocketsphinx_worker import Decoder

RECORDINGS = Path(__file__).parents[3] / "shared" / "audio"
SPEECH = [
    SAMPLES / "monologue.wav",
    SAMPLES / "dialogue.wav",
    pytest.param(
        RECORDINGS / "lj.wav",
        marks=pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not here"),
    ),
    pytest.param(
        RECORDINGS / "jfk.flac",
        marks=pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not here"),
    ),
]

Samples = NDArray[np.float32]


def ffmpeg(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [ffmpeg_program(), "-hide_banner", *map(str, arguments)]
    return subprocess.run(argv, input=given, capture_output=True, check=True, timeout=60)


def read(path: Path) -> Audio:
    """A recording as the decoder gives it."""
    return Audio(ffmpeg("-i", path, "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-").stdout, at=0)


def noise(size: int, *, pink: bool) -> Samples:
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(size))
    if pink:
        spectrum /= np.sqrt(np.arange(len(spectrum)) + 1)
    return np.fft.irfft(spectrum, size).astype(np.float32)


def noisy(audio: Audio, *, snr: float, pink: bool) -> Audio:
    """Speech with noise of so many dB less power."""
    clean, added = audio.floats(), noise(audio.samples, pink=pink)
    factor = np.sqrt(np.mean(clean**2) / np.mean(added**2)) / 10 ** (snr / 20)
    return audio.with_floats(clean + factor * added)


def distortion(clean: Samples, heard: Samples) -> float:
    """How far what is not the clean speech lies below it, in dB; scale-invariant."""
    scaled = clean * (np.dot(heard, clean) / np.dot(clean, clean))
    return float(10 * np.log10(np.sum(scaled**2) / np.sum((heard - scaled) ** 2)))


@pytest.mark.parametrize("pink", [False, True], ids=["white", "pink"])
@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.name)
def test_noise_is_lowered_in_silences_and_the_speech_comes_nearer_to_what_it_was(path: Path, pink: bool) -> None:
    clean = read(path)
    given = noisy(clean, snr=5, pink=pink)
    made = NoiseReduction().pre_process(given, {})
    assert made.samples == given.samples
    pauses = levels(clean) <= np.percentile(levels(clean), 10)
    lowered = levels(given)[pauses].mean() - levels(made)[pauses].mean()
    assert lowered >= 8, f"{lowered:.1f} dB"
    gained = distortion(clean.floats(), made.floats()) - distortion(clean.floats(), given.floats())
    assert gained >= 3, f"{gained:.1f} dB"


def test_the_offline_recogniser_makes_no_more_errors_behind_noise_reduction(tmp_path: Path) -> None:
    """Of 31 words it misses nearly all in this noise, and fewer behind the plug-in; it was 29 and 21."""
    spoken = re.sub(r"[^a-z ]", "", (SAMPLES / "monologue.txt").read_text().lower()).split()[:31]
    given = noisy(read(SAMPLES / "monologue.wav").part(0, 9 * RATE), snr=10, pink=True)
    decoder, errors = Decoder(), []
    for number, audio in enumerate((given, NoiseReduction().pre_process(given, {}))):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(wav(audio.pcm))
        heard = " ".join(word for word, *_ in decoder(path))
        errors.append(jiwer.wer(" ".join(spoken), heard))
    assert errors[1] <= errors[0], errors


def test_clean_speech_is_left_as_it_is() -> None:
    clean = read(SAMPLES / "monologue.wav")
    assert NoiseReduction().pre_process(clean, {}) == clean


def loudness(audio: Audio) -> tuple[float, float]:
    """Integrated loudness in LUFS and the highest sample in dB, by the ffmpeg program."""
    told = ffmpeg("-f", "wav", "-i", "-", "-af", "ebur128=peak=sample", "-f", "null", "-", given=wav(audio.pcm)).stderr
    summary = told.decode().rpartition("Summary:")[2]
    found = [re.search(rf"{name}:\s+(-?[\d.]+)", summary) for name in ("I", "Peak")]
    integrated, peak = [float(one[1]) for one in found if one]
    return integrated, peak


@pytest.mark.parametrize("change_db", [-20.0, 0.0, 4.0])
@pytest.mark.parametrize(("target", "settings"), [(-23.0, {}), (-18.0, {"loudness_target": -18})])
@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.name)
def test_loudness_reaches_its_target(path: Path, target: float, settings: dict[str, float], change_db: float) -> None:
    audio = read(path)
    given = audio.with_floats(audio.floats() * 10 ** (change_db / 20))
    settings = dict(settings)
    made = Loudness().pre_process(given, settings)
    assert made.samples == given.samples
    reached, peak = loudness(made)
    assert reached == pytest.approx(target, abs=1.0)
    assert peak <= -0.9
    assert settings["loudness_gain_db"] == pytest.approx(target - loudness(given)[0], abs=0.5)
    lag = np.argmax(np.correlate(made.floats()[: RATE * 4], given.floats()[800 : RATE * 4 - 800], "valid"))
    assert abs(int(lag) - 800) <= RATE // 1000, "it came early or late"


def test_background_is_not_made_as_loud_as_speech() -> None:
    speech = read(SAMPLES / "monologue.wav")
    hiss = speech.with_floats(0.0005 * noise(speech.samples, pink=False))
    plugin, settings = Loudness(), {}
    plugin.pre_process(speech, settings)
    gain = settings["loudness_gain_db"]
    plugin.pre_process(hiss, settings)
    assert settings["loudness_gain_db"] == gain
    assert Loudness().pre_process(speech.with_pcm(bytes(64_000)), {}).pcm == bytes(64_000)


def stretched(path: Path, *, hiss_db: float) -> tuple[bytes, list[tuple[float, float]]]:
    """The dialogue with silences put into its pauses, and where they are; with a faint hiss over all of it."""
    audio = read(path).part(0, 15 * RATE)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], levels(audio) < -50, [False]]).astype(np.int8)))
    pauses = [(begin + end) // 2 for begin, end in edges.reshape(-1, 2).tolist() if end - begin > 40]
    out, silences, at, length = [], [], 0, 0
    for frame, seconds in zip(pauses, (3, 5, 4), strict=False):
        out += [audio.pcm[2 * FRAME * at : 2 * FRAME * frame], bytes(2 * RATE * seconds)]
        begin = length + (frame - at) * FRAME / RATE
        silences.append((begin, begin + seconds))
        at, length = frame, begin + seconds
    out.append(audio.pcm[2 * FRAME * at :])
    whole = Audio(b"".join(out), 0)
    floor = 10 ** (hiss_db / 20) * np.random.default_rng(1).standard_normal(whole.samples).astype(np.float32)
    return wav(whole.with_floats(whole.floats() + floor).pcm), silences


async def room(folder: Path) -> Room:
    (folder / "blobs").mkdir()
    return Room(FolderBlobs(folder / "blobs"), await FfmpegDecoder.detect(TranscoderSettings()))


async def upload(room: Room, data: bytes, *plugins: str, provider: str = "tested", **options: str) -> UploadReceived:
    event = await room.upload(data, max_seconds=15 if provider == "pocketsphinx" else 300)
    plan = event.plan.model_copy(update={"provider": provider})
    return event.model_copy(update={"options": JobOptions(plugins=plugins or None, **options), "plan": plan})


async def words(room: Room, segment: SegmentReady, decoder: Decoder, folder: Path) -> list[tuple[str, float, float]]:
    """What the offline recogniser hears, with times of the recording."""
    path = folder / "segment.wav"
    path.write_bytes(wav(await room.samples(segment)))
    heard = await asyncio.to_thread(decoder, path)
    at = lambda seconds, ending: heard_at(seconds, segment.start, segment.places, ending=ending)  # noqa: E731
    return [(word, at(start, False), at(end, True)) for word, start, end, _ in heard]


async def test_trimming_leaves_silences_out_and_keeps_the_times_of_words(tmp_path: Path) -> None:
    data, silences = stretched(SAMPLES / "dialogue.wav", hiss_db=-66)
    assert len(silences) == 3
    where, decoder = await room(tmp_path), Decoder()
    (whole,) = await where.transcode(await upload(where, data))
    event = await upload(where, data, "silence_trimming")
    (trimmed,) = await where.transcode(event)
    left_out = (len(await where.samples(whole)) - len(await where.samples(trimmed))) / (2 * RATE)
    assert left_out == pytest.approx(sum(end - begin for begin, end in silences), abs=2.5)
    manifest = await where.manifest(event.job_id)
    assert manifest.settings["silence_trimmed_seconds"] == pytest.approx(left_out, abs=0.05)
    assert manifest.duration == pytest.approx(whole.end)
    assert trimmed.end <= whole.end
    before, after = [await words(where, one, decoder, tmp_path) for one in (whole, trimmed)]
    match = SequenceMatcher(a=[w for w, *_ in before], b=[w for w, *_ in after], autojunk=False)
    same = [(before[m.a + i], after[m.b + i]) for m in match.get_matching_blocks() for i in range(m.size)]
    assert len(same) >= 0.9 * len(before)
    assert not [(one, other) for one, other in same if abs(one[1] - other[1]) > 0.1]
    # Where a word fades out the recogniser decides by what it heard around it, which is not the same here.
    ends = [abs(one[2] - other[2]) for one, other in same]
    assert max(ends) < 0.25
    assert sum(away > 0.1 for away in ends) <= 0.05 * len(ends)
    assert after[-1][1] > sum(end - begin for begin, end in silences) + 7


def test_where_noise_hides_what_is_said_nothing_is_left_out() -> None:
    speech = read(SAMPLES / "dialogue.wav")
    quiet = speech.with_pcm(speech.pcm + bytes(2 * RATE * 4) + speech.pcm)
    given = noisy(quiet, snr=5, pink=False)
    assert SilenceTrimming().pre_process(given, {}) == [given]
    assert len(SilenceTrimming().pre_process(quiet, {})) == 2


async def test_a_silent_recording_still_has_a_segment(tmp_path: Path) -> None:
    where = await room(tmp_path)
    (segment,) = await where.transcode(await upload(where, wav(bytes(2 * RATE * 5)), "silence_trimming"))
    assert (segment.start, segment.end) == (0.0, 1.0)


async def test_a_plugin_that_breaks_fails_its_job_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path / "installed", monkeypatch)
    pre = "    def pre_process(self, audio, settings):\n        "
    install(tmp_path / "installed", "breaks", pre + "os.abort()\n")
    where = await room(tmp_path)
    data = (SAMPLES / "monologue.wav").read_bytes()
    broken, good = await upload(where, data, "loudness", "breaks"), await upload(where, data, "loudness")
    failed, made = await asyncio.gather(where.transcode(broken), where.transcode(good), return_exceptions=True)
    assert isinstance(failed, Permanent)
    assert (failed.code, "The plug-in breaks ended its process" in failed.message) == ("plugin_failed", True)
    assert await where.audio_blobs(broken.job_id) == []
    assert isinstance(made, list)
    assert len(made) == 1


async def test_a_plugin_may_change_what_recognition_goes_by_but_not_to_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path / "installed", monkeypatch)
    pre = "    def pre_process(self, audio, settings):\n        settings{}\n        return audio\n"
    install(tmp_path / "installed", "british", pre.format(".update(language='en-GB', translate=['es'], mine=1)"))
    install(tmp_path / "installed", "spanish", pre.format("['language'] = 'es'"))
    install(tmp_path / "installed", "nonsense", pre.format("['language'] = 5"))
    where = await room(tmp_path)
    data = (SAMPLES / "monologue.wav").read_bytes()

    event = await upload(where, data, "british", provider="pocketsphinx")
    segment, *_ = await where.transcode(event)
    assert segment.options == event.options.model_copy(update={"language": "en-GB"})
    assert (await where.manifest(event.job_id)).settings["mine"] == 1

    for name, why in (("spanish", "pocketsphinx cannot recognise es"), ("nonsense", "what it cannot be")):
        with pytest.raises(Permanent, match=f"The plug-in {name} .*{why}") as failed:
            await where.transcode(await upload(where, data, name, provider="pocketsphinx"))
        assert failed.value.code == "plugin_failed"

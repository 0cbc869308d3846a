"""Real recordings through `scribewire transcribe`: a transcript, or a failure that says why; nothing hangs."""

import json
import re
from pathlib import Path

import jiwer
import pytest

from support import media

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
AUDIO = ROOT.parent / "shared" / "audio"

SPOKEN = {
    "jfk.flac": (
        "and so my fellow americans ask not what your country can do for you ask what you can do for your country",
        0.5,
    ),
    "lj.wav": (
        "unless a system is established for the frequent formal review of activities thereunder in this regard",
        0.20,
    ),
    "english.wav": ("one two three", 1.0),
    "digits.wav": ("one zero zero zero one nine oh two one oh zero one eight zero three", 1.0),
    "two_speakers.wav": (None, None),
    "french.aiff": (None, None),
}
"""What is heard, and the word error rate the small offline engine must stay below (None: no reference)."""


def plain(text: str) -> str:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).strip()


def transcribe(platform, file: Path, out: Path, *options: str) -> dict:
    done = platform.cli("transcribe", file, "--format", "json", "-o", out, *options)
    assert done.returncode == 0, done.stderr
    return json.loads((out / f"{file.name}.json").read_text())


@pytest.mark.parametrize("name", SPOKEN)
def test_a_recording_nobody_here_made(platform, tmp_path, name, record_property):
    if not AUDIO.is_dir():
        pytest.skip("the recordings lie outside the project and are not on this machine")
    transcript = transcribe(platform, AUDIO / name, tmp_path)
    assert set(transcript) >= {"text", "language", "duration", "words", "utterances", "paragraphs"}
    assert isinstance(transcript["duration"], float)
    assert transcript["duration"] > 1
    for word in transcript["words"]:
        assert set(word) >= {"word", "start", "end", "confidence", "speaker"}
        assert 0 <= word["start"] <= word["end"] <= transcript["duration"] + 0.1
    spoken, limit = SPOKEN[name]
    if spoken:
        rate = jiwer.wer(plain(spoken), plain(transcript["text"]))
        record_property("word error rate", f"{name} {rate:.3f}")
        assert rate < limit


@pytest.mark.parametrize("name", ["monologue.wav", "dialogue.wav", "video.mp4"])
def test_a_sample(platform, tmp_path, name, record_property):
    transcript = transcribe(platform, SAMPLES / name, tmp_path)
    spoken = (SAMPLES / name).with_suffix(".txt").read_text()
    rate = jiwer.wer(plain(spoken), plain(transcript["text"]))
    record_property("word error rate", f"{name} {rate:.3f}")
    assert rate < 0.15


def test_a_sample_through_the_plugins_that_come_along(platform, tmp_path):
    plugins = "noise_reduction,loudness,silence_trimming,language_detection"
    transcript = transcribe(platform, SAMPLES / "dialogue.wav", tmp_path, "--plugins", plugins)
    assert (transcript["language"], transcript["detected_language"]) == ("en", "en")
    assert transcript["duration"] == pytest.approx(21.71, abs=0.1)
    assert jiwer.wer(plain((SAMPLES / "dialogue.txt").read_text()), plain(transcript["text"])) < 0.2
    refused = platform.cli("transcribe", SAMPLES / "dialogue.wav", "--plugins", "autotune")
    assert refused.returncode == 2
    assert "There is no plug-in autotune; there is language_detection, loudness" in refused.stderr


UNUSABLE = {
    "not_media": lambda folder: SAMPLES / "corrupt.mp3",
    "no_audio": media.silent_film,
    "truncated": lambda folder: media.cut_off(media.speech_file("film.mp4", folder), keep=0.6),
}


@pytest.mark.parametrize("code", UNUSABLE)
def test_a_file_that_cannot_be_used_fails_and_says_why(platform, tmp_path, code):
    out = tmp_path / "out"
    file = UNUSABLE[code](tmp_path)
    done = platform.cli("transcribe", file, "-o", out)
    assert done.returncode == 1
    assert list(out.iterdir()) == []
    failed = json.loads(platform.cli("jobs", "--json", "--status", "failed").stdout)["jobs"]
    (job,) = [job for job in failed if job["filename"] == file.name]
    assert job["error"]["code"] == code
    assert f"{file}: {job['error']['message']}" in done.stderr


def test_several_files_and_subtitles(platform):
    done = platform.cli("transcribe", SAMPLES / "monologue.wav", SAMPLES / "video.mp4", "--format", "srt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("==> ") == 2
    assert re.search(r"^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}$", done.stdout, re.MULTILINE)


def test_the_rows_can_be_made_anew_from_the_log(platform, tmp_path):
    transcribe(platform, SAMPLES / "video.mp4", tmp_path)
    before = json.loads(platform.cli("jobs", "--json").stdout)
    done = platform.cli("rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^rebuilt {sum(before['counts'].values())} jobs from \d+ events", done.stdout, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert json.loads(platform.cli("jobs", "--json").stdout) == before

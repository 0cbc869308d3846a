"""Real recordings through `scribewire transcribe`: a transcript, or a failure that says why; nothing hangs."""

import json
import re
from pathlib import Path

import jiwer
import pytest

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


def transcribe(platform, file: Path, out: Path) -> dict:
    done = platform.cli("transcribe", file, "--format", "json", "-o", out)
    assert done.returncode == 0, done.stderr
    return json.loads((out / f"{file.name}.json").read_text())


@pytest.mark.parametrize("name", SPOKEN)
def test_a_recording_nobody_here_made(platform, tmp_path, name):
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
        print(f"{name}: word error rate {rate:.3f}")
        assert rate <= limit


@pytest.mark.parametrize("name", ["monologue.wav", "dialogue.wav", "video.mp4"])
def test_a_sample(platform, tmp_path, name):
    transcript = transcribe(platform, SAMPLES / name, tmp_path)
    spoken = (SAMPLES / name).with_suffix(".txt").read_text()
    rate = jiwer.wer(plain(spoken), plain(transcript["text"]))
    print(f"{name}: word error rate {rate:.3f}")
    assert rate < 0.15


def test_a_corrupt_file_fails_and_says_why(platform, tmp_path):
    done = platform.cli("transcribe", SAMPLES / "corrupt.mp3", "-o", tmp_path)
    assert done.returncode == 1
    assert "corrupt.mp3" in done.stderr
    assert list(tmp_path.iterdir()) == []
    failed = json.loads(platform.cli("jobs", "--json", "--status", "failed").stdout)["jobs"]
    assert any(job["filename"] == "corrupt.mp3" and job["error"]["code"] == "not_media" for job in failed)


def test_several_files_and_subtitles(platform):
    done = platform.cli("transcribe", SAMPLES / "monologue.wav", SAMPLES / "video.mp4", "--format", "srt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("==> ") == 2
    assert re.search(r"^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}$", done.stdout, re.MULTILINE)

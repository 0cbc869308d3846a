"""What the command line says and ends with when there is no gateway, whatever the files are called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.audio_formats import AUDIO_FORMATS
from scribewire.commands import audio
from scribewire_local.ports import free_port


def scribewire(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "scribewire", *words],
        env=known | {"NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["talk.wav", "[red]talk.wav", "[/talk].wav"])
def test_a_gateway_that_is_not_there_is_said_at_once(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"RIFF")
    done = scribewire(
        "transcribe", str(file), SCRIBEWIRE_URL=f"http://127.0.0.1:{free_port()}", SCRIBEWIRE_API_KEY="k" * 20
    )
    assert done.returncode == 4, done.stderr
    assert f"{file}: no gateway answers at http://127.0.0.1:" in done.stderr


def test_an_address_is_sent_as_one_and_told_without_its_secret() -> None:
    gateway = f"http://127.0.0.1:{free_port()}"
    done = scribewire(
        *("transcribe", "https://me:s3cret@example.com/talks/a.mp3?sig=s3cret#s3cret"),
        SCRIBEWIRE_URL=gateway,
        SCRIBEWIRE_API_KEY="k" * 20,
    )
    assert done.returncode == 4, done.stderr
    assert f"https://example.com/talks/a.mp3: no gateway answers at {gateway}" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_without_an_address_it_says_what_to_do(tmp_path: Path) -> None:
    done = scribewire("jobs", SCRIBEWIRE_HOME=str(tmp_path))
    assert done.returncode == 3
    assert "scribewire up" in done.stderr


def test_wrong_use_ends_with_2(tmp_path: Path) -> None:
    assert scribewire("transcribe", str(tmp_path / "missing.wav")).returncode == 2
    assert scribewire("jobs", "--limit", "many").returncode == 2


def test_the_help_names_the_audio_formats_that_there_are() -> None:
    assert tuple(AUDIO_FORMATS) == audio.AUDIO_FORMATS

"""Stored audio as a user sees it: asked for, fetched, in another format without new work, gone with its job."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import av
import pytest

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire.errors import Problem
from support.media import SAMPLES
from support.running import running
from support.waiting import until


def test_audio_in_a_format_of_ones_choice(tmp_path: Path) -> None:
    with running({"SCRIBEWIRE_REUSE": "true"}) as platform, Client(Gateway(platform.url, platform.key)) as client:

        def transcribed(audio_format: str) -> tuple[dict[str, Any], Path]:
            done = platform.cli("transcribe", SAMPLES / "video.mp4", "--json", "--audio-format", audio_format)
            assert done.returncode == 0, done.stderr
            job = json.loads(done.stdout)[0]["job"]
            file = tmp_path / f"video.{audio_format}"
            fetched = platform.cli("jobs", "audio", job["id"], "-o", file)
            assert fetched.returncode == 0, fetched.stderr
            return dict(client.job(job["id"])), file

        first, mp3 = transcribed("mp3")
        again, flac = transcribed("flac")
        assert (first["reused_from"], again["reused_from"]) == (None, first["id"])
        for job, file, codec in ((first, mp3, "mp3"), (again, flac, "flac")):
            assert (job["audio"]["format"], job["audio"]["codec"]) == (codec, codec)
            assert job["audio"]["size"] == file.stat().st_size
            assert job["audio"]["duration"] == pytest.approx(job["duration"], abs=0.05)
            assert job["media"]["codec"] == "aac"
            with av.open(file) as container:
                assert container.streams.audio[0].codec_context.codec.canonical_name == codec
                assert (container.duration or 0) / 1e6 == pytest.approx(job["duration"], abs=0.1)

        client.export(tmp_path / "all.zip")
        with ZipFile(tmp_path / "all.zip") as exported:
            sounds = {name.rpartition("/")[2]: exported.read(name) for name in exported.namelist() if "/audio." in name}
        assert sounds == {"audio.mp3": mp3.read_bytes(), "audio.flac": flac.read_bytes()}

        client.delete(first["id"])
        until(lambda: not list((platform.home / "blobs").rglob(f"*{first['id']}*")), seconds=30, why="erased")
        with pytest.raises(Problem, match="no job"):
            client.audio(first["id"], tmp_path / "gone.mp3")
        client.audio(again["id"], tmp_path / "still.flac")
        assert (tmp_path / "still.flac").read_bytes() == flac.read_bytes()

"""The same recording again, as a user sees it: at once, its own, and not when it is not wanted."""

import json
from pathlib import Path
from typing import Any

from scribewire.client import Client
from scribewire.config import Gateway
from support.media import SAMPLES
from support.running import running
from support.waiting import until


def newest(client: Client) -> dict[str, Any]:
    return dict(client.jobs(limit=1)["jobs"][0])


def test_the_same_again_is_a_copy_of_its_own(tmp_path: Path) -> None:
    sample = SAMPLES / "monologue.wav"
    with running({"SCRIBEWIRE_REUSE": "true"}) as platform, Client(Gateway(platform.url, platform.key)) as client:

        def transcribed(*options: str) -> tuple[dict[str, Any], dict[str, Any]]:
            done = platform.cli("transcribe", sample, "--format", "json", "-o", tmp_path, *options)
            assert done.returncode == 0, done.stderr
            return newest(client), json.loads((tmp_path / f"{sample.name}.json").read_text())

        first, heard = transcribed()
        again, copy = transcribed()
        assert (again["reused_from"], first["reused_from"]) == (first["id"], None)
        assert copy == heard
        for same in ("words", "segments", "duration", "media", "language", "provider"):
            assert again[same] == first[same]

        client.delete(first["id"])
        until(lambda: not list((platform.home / "blobs").rglob(f"*{first['id']}*")), seconds=30, why="erased")
        assert json.loads(client.transcript(again["id"])) == heard

        anew, _ = transcribed("--no-reuse")
        assert anew["reused_from"] is None

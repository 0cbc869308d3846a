"""A recording by its address, as a user sends it: fetched, transcribed, shown without its secret, erased with it."""

import hashlib
import json
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scribewire.client import Client
from scribewire.config import Gateway
from support.media import SAMPLES
from support.waiting import until

SECRET = "s3cret-of-a-signed-link"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the samples without a word."""

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SAMPLES)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def holding(platform, what: bytes) -> list[str]:
    """Files of the platform in which something stands: blobs, logs, and the log of Kafka without its indexes."""
    found = []
    for path in platform.home.rglob("*"):
        with suppress(FileNotFoundError):  # temporary files come and go
            if path.is_file() and path.suffix not in {".index", ".timeindex"} and what in path.read_bytes():
                found.append(str(path))
    return found


def test_a_recording_is_fetched_from_its_address(platform, site, tmp_path):
    url = f"{site}/monologue.wav"
    done = platform.cli("transcribe", f"{url}?sig={SECRET}", "--format", "json", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "good morning" in json.loads((tmp_path / "monologue.wav.json").read_text())["text"]
    sample = (SAMPLES / "monologue.wav").read_bytes()
    with Client(Gateway(platform.url, platform.key)) as client:
        job = client.jobs(limit=1)["jobs"][0]
        assert (job["url"], job["filename"], job["size"]) == (url, "monologue.wav", len(sample))
        assert job["sha256"] == hashlib.sha256(sample).hexdigest()
        [kept] = holding(platform, SECRET.encode())
        assert f"{job['id']}/url." in kept
        assert SECRET not in json.dumps(client.jobs())

        missing = platform.cli("transcribe", f"{site}/nothing.wav?sig={SECRET}")
        assert missing.returncode == 1
        assert "There is no file at the address" in missing.stderr
        assert SECRET not in missing.stderr

        failed = client.jobs(limit=1)["jobs"][0]
        assert failed["error"]["code"] == "source_not_found"
        client.delete(failed["id"])
        until(lambda: holding(platform, SECRET.encode()) == [kept], seconds=30, why="the address is erased")

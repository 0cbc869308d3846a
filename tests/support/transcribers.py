"""Transcribers as processes on a Kafka, a folder of blobs and a fake provider, and one long job for them."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import UUID, uuid4

from common import layout
from common.blobs.folder import FolderBlobs
from common.events import SegmentReady
from common.manifest import Manifest
from scribewire_local.ports import HOST, free_port
from support.fake_deepgram import FakeDeepgram
from support.segments import OWNER, silence, store_job
from support.waiting import until


class Transcriber:
    """One process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self._port = port

    def ready(self) -> bool:
        """Whether it consumes."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            with urlopen(f"http://{HOST}:{self._port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def leave(self, seconds: float = 60) -> None:
        """Have it drain and leave."""
        self.process.terminate()
        assert self.process.wait(seconds) == 0, self.log.read_text()[-3000:]

    def kill(self) -> None:
        """End it at once, stopped or not."""
        self.process.kill()
        self.process.wait()


class Transcribers:
    """Starts them, and ends those that are left.

    Parameters
    ----------
    folder
        For blobs, leases and logs.
    slots
        Segments that one of them has in work at once.
    """

    def __init__(self, folder: Path, kafka: str, engine: FakeDeepgram, *, slots: int, lease_ttl: float) -> None:
        self.folder = folder
        self.slots = slots
        self.blobs = FolderBlobs(folder / "blobs")
        self._engine = engine
        self._kafka = kafka
        self._lease_ttl = lease_ttl
        self._all: list[Transcriber] = []

    def start(self) -> Transcriber:
        """Start one, not waiting until it is ready."""
        port = free_port()
        log = self.folder / f"transcriber-{len(self._all) + 1}.log"
        env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "SCRIBEWIRE_KAFKA": self._kafka,
            "SCRIBEWIRE_BLOBS": (self.folder / "blobs").as_uri(),
            "SCRIBEWIRE_HEALTH_PORT": str(port),
            "SCRIBEWIRE_CONCURRENCY": str(self.slots),
            "SCRIBEWIRE_LEASE_TTL": str(self._lease_ttl),
            "SCRIBEWIRE_RETRY_DELAYS": "[1, 2, 5]",
            "DEEPGRAM_API_KEY": self._engine.key,
            "DEEPGRAM_BASE_URL": self._engine.url,
        }
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "transcriber"], env=env, cwd=self.folder, stdout=out, stderr=out
            )
        self._all.append(Transcriber(process, port, log))
        return self._all[-1]

    def begin(self) -> Transcriber:
        """Start one and wait until it consumes."""
        one = self.start()
        until(one.ready, seconds=120, why="the transcriber is ready")
        return one

    def stop(self) -> None:
        """End all."""
        for one in self._all:
            if one.process.poll() is None:
                one.kill()

    def stored(self, job: UUID, count: int) -> int:
        """How many of a job's results are in the store."""
        names = (layout.segment_result(OWNER, job, index) for index in range(count))
        return sum((self.folder / "blobs" / name).exists() for name in names)

    def show_logs(self) -> None:
        """Print the end of every log."""
        for one in self._all:
            print(f"--- {one.log.name}", *one.log.read_text(errors="replace").splitlines()[-30:], sep="\n")


async def long_job(blobs: FolderBlobs, *, seconds: float, piece: float) -> list[SegmentReady]:
    """A recording of some length, cut into pieces as planned; the fake provider hears a second of each."""
    count = round(seconds / piece)
    ready = await store_job(blobs, [silence(1, mark=n + 1) for n in range(count)], provider="deepgram", job=uuid4())
    told = [event.model_copy(update={"start": n * piece, "end": (n + 1) * piece}) for n, event in enumerate(ready)]
    name = layout.manifest(OWNER, ready[0].job_id)
    manifest = Manifest.model_validate_json(b"".join([chunk async for chunk in blobs.read(name)]))
    pieces = [
        part.model_copy(update={"start": event.start, "end": event.end})
        for part, event in zip(manifest.pieces, told, strict=True)
    ]
    await blobs.remove(name)
    await blobs.write(
        name, manifest.model_copy(update={"duration": seconds, "pieces": tuple(pieces)}).model_dump_json().encode()
    )
    return told


def in_flight(engine: FakeDeepgram) -> int:
    """Calls that wait for their answer."""
    return sum(call.ended is None for call in list(engine.calls))


def calls(engine: FakeDeepgram) -> Counter[str]:
    """How often each piece of audio was sent."""
    return Counter(call.sha256 for call in list(engine.calls))

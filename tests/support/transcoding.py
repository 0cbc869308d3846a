"""Runs the transcoder's handler on a file, with blobs in a folder and real workers, without Kafka."""

import io
import time
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import psutil

from common import layout
from common.address import Fetched
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.events import BlobRef, Event, SegmentReady, StageProgress, UploadReceived
from common.manifest import Manifest
from common.options import SegmentPlan
from transcoder.bring import Bring
from transcoder.handler import Transcode
from transcoder.ports import Decoder, Remote
from transcoder.worker.child import NAME as WORKER

OWNER = "tester"
SHA256 = "0" * 64


def workers() -> list[psutil.Process]:
    """The processes of ours that decode a file just now."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == WORKER and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


@dataclass
class Told:
    """A context that keeps what is published; ``cancel_when`` decides whether the job counts as cancelled."""

    cancel_when: Callable[["Told"], bool] = lambda told: False
    delivery: int = 1
    progress: list[StageProgress] = field(default_factory=list)
    asked: int = 0
    """How often the handler asked whether the job was cancelled."""

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        self.asked += 1
        return self.cancel_when(self)

    async def publish(self, event: Event) -> None:
        """Keep a progress event."""
        assert isinstance(event, StageProgress)
        self.progress.append(event)


class Nowhere(Remote):
    """Fetches nothing, for jobs whose bytes were uploaded."""

    async def fetched(self, event: UploadReceived) -> Fetched | None:
        """Must not be asked."""
        raise AssertionError(event)

    async def fetch(self, event: UploadReceived, cancelled: Callable[[], bool]) -> Fetched:
        """Must not be asked."""
        raise AssertionError(event)


@dataclass
class Room:
    """A folder of blobs and a decoder, and what fetches from addresses."""

    blobs: FolderBlobs
    decoder: Decoder
    remote: Remote = field(default_factory=Nowhere)

    async def upload(self, data: bytes, *, max_seconds: float | None = 30.0) -> UploadReceived:
        """Store bytes as a job's original."""
        job = uuid4()
        name = layout.original(OWNER, job, SHA256)
        await self.blobs.write(name, data)
        plan = SegmentPlan(provider="tested", max_seconds=max_seconds)
        return UploadReceived(job_id=job, owner=OWNER, source=BlobRef(name=name), sha256=SHA256, plan=plan)

    async def transcode(
        self, event: UploadReceived, context: Told | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> list[SegmentReady]:
        """Fetch what is to be fetched, and run the handler; failures of both are raised."""
        context, bring = context or Told(), Bring(self.remote)
        if await bring.needed(event):
            await bring(event, context)
        handler = Transcode(blobs=self.blobs, decoder=self.decoder, remote=self.remote, clock=clock)
        outputs = list(await handler(event, context))
        assert all(isinstance(output, SegmentReady) for output in outputs)
        return [output for output in outputs if isinstance(output, SegmentReady)]

    async def transcode_file(self, path: Path, *, max_seconds: float | None = 30.0) -> list[SegmentReady]:
        """Upload a file and transcode it."""
        return await self.transcode(await self.upload(path.read_bytes(), max_seconds=max_seconds))

    async def manifest(self, job: UUID) -> Manifest:
        """A job's manifest."""
        return Manifest.model_validate_json(await read_all(self.blobs, layout.manifest(OWNER, job)))

    async def samples(self, segment: SegmentReady) -> bytes:
        """A segment's samples, read as any other program would read the WAV file."""
        raw = await read_all(self.blobs, segment.audio.name)
        assert segment.audio.size == len(raw)
        with wave.open(io.BytesIO(raw)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            return bytes(file.readframes(file.getnframes()))

    async def audio_blobs(self, job: UUID) -> list[str]:
        """Names of what is stored of a job besides the original."""
        prefix = layout.manifest(OWNER, job).removesuffix("manifest.json")
        return sorted([info.name async for info in self.blobs.list(prefix)])

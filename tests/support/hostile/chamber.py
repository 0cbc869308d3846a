"""The transcoder as its process joins it, under a meter: attacks go in, verdicts come out."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import psutil

from common import layout
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.bus import EachStage
from common.errors import Permanent, Transient
from common.events import BlobRef, SegmentReady, UploadReceived
from common.options import SegmentPlan
from support import media
from support.hostile.riff import wav
from support.transcoding import SHA256, Told
from transcoder.__main__ import build

ATTACKER = "attacker"
PATIENCE = 90.0
"""Seconds after which an attack has hung the transcoder: more than any limit that the chambers set."""

DELIVERIES = 3
"""How often an attack may ask to be tried again before it counts as never ending."""


@dataclass
class Verdict:
    """What became of an attack: ``code`` and ``message`` of the failure, or how much silence it was taken for."""

    name: str
    code: str | None = None
    message: str = ""
    audio: float = 0.0
    pcm: bytes = b""
    told: str = ""
    transient: int = 0
    wrong: list[str] = field(default_factory=list)
    """What must not be."""

    seconds: float = 0.0


class Meter:
    """Memory of this process and of everything below it, sampled; both are high-water marks."""

    def __init__(self) -> None:
        self._ours = psutil.Process()
        self._base = self._ours.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.children_mib = 0
        """Most resident memory of all processes below this one together."""
        self.own_mib = 0
        """Most growth of this process."""

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            resident = [size for size in map(_resident, _below(self._ours.pid)) if size is not None]
            self.children_mib = max(self.children_mib, sum(resident) >> 20)
            self.own_mib = max(self.own_mib, (self._ours.memory_info().rss - self._base) >> 20)


def _below(pid: int) -> list[int]:
    """Every process below one; the kernel's own list where there is one, since looking through all of them is slow."""
    lists = list(Path(f"/proc/{pid}/task").glob("*/children"))
    if not lists:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    found = []
    for path in lists:
        with suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found + [under for child in found for under in _below_quietly(child)]


def _below_quietly(pid: int) -> list[int]:
    with suppress(psutil.Error, OSError):  # it ended meanwhile
        return _below(pid)
    return []


def _resident(pid: int) -> int | None:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return None


class Chamber:
    """A transcoder that is attacked; make one with `chamber`."""

    def __init__(self, stage: EachStage, blobs: FolderBlobs) -> None:
        self._stage = stage
        self.blobs = blobs
        self._good = b""

    async def attack(self, name: str, data: bytes, *, ending: str = "") -> Verdict:
        """Upload bytes and transcode them; ``ending`` goes to the end of every name the transcoder sees."""
        event = await self.upload(data, ending=ending)
        verdict = Verdict(f"{name}{ending and f' as {ending}'}")
        began = time.monotonic()
        told = Told()
        for _ in range(DELIVERIES):
            try:
                async with asyncio.timeout(PATIENCE):
                    outputs = await self._stage.handler(event, told)
            except Permanent as error:
                verdict.code, verdict.message = error.code, error.message
            except Transient as error:
                verdict.transient += 1
                verdict.message = str(error)
                continue
            except TimeoutError:
                verdict.wrong.append("hung")
            except Exception as error:  # whatever else it is, it is the finding
                verdict.wrong.append(f"internal error {type(error).__name__}: {error}")
            else:
                for segment in outputs:
                    assert isinstance(segment, SegmentReady)
                    verdict.audio = max(verdict.audio, segment.end)
                    verdict.pcm += (await read_all(self.blobs, segment.audio.name))[44:][: 60 * 32_000]
                    verdict.told += segment.model_dump_json()
            break
        else:
            verdict.wrong.append(f"asked to be tried again {DELIVERIES} times: {verdict.message}")
        verdict.seconds = time.monotonic() - began
        verdict.told += "".join(progress.model_dump_json() for progress in told.progress) + verdict.message
        if verdict.code is not None:
            verdict.wrong += unfit(verdict.message)
            if left := [blob.name async for blob in self.blobs.list(layout.job_prefixes(ATTACKER, event.job_id)[1])]:
                verdict.wrong.append(f"left {left}")
        await self.blobs.remove(layout.job_prefixes(ATTACKER, event.job_id)[0])
        await self.blobs.remove(layout.job_prefixes(ATTACKER, event.job_id)[1])
        return verdict

    async def survives(self) -> list[str]:
        """Transcode a good file; tells what is wrong with what came out, if anything is."""
        verdict = await self.attack("good file", GOOD)
        if verdict.code or not verdict.pcm:
            return [f"a good file failed: {verdict.code} {verdict.message}", *verdict.wrong]
        self._good = self._good or verdict.pcm
        return verdict.wrong if verdict.pcm == self._good else ["a good file came out otherwise than before"]

    async def upload(self, data: bytes, *, ending: str = "", owner: str = ATTACKER) -> UploadReceived:
        """Store bytes as a job's original."""
        job = uuid4()
        name = layout.original(owner, job, SHA256) + ending
        await self.blobs.write(name, data)
        return UploadReceived(
            job_id=job,
            owner=owner,
            source=BlobRef(name=name),
            filename=f"upload{ending}",
            sha256=SHA256,
            plan=SegmentPlan(provider="tested", max_seconds=300.0),
        )


def unfit(message: str) -> list[str]:
    """What makes a failure's message unfit for the person who sent the file."""
    bad = [word for word in ("/", "Traceback", "Error(", "0x", "errno", "\n") if word in message]
    short = not 20 <= len(message) <= 300 or not message.endswith(".")
    return [f"a message not for people: {message!r}"] if bad or short else []


@asynccontextmanager
async def chamber(folder: Path, limits: Mapping[str, object] | None = None) -> AsyncIterator[Chamber]:
    """Join a transcoder on blobs in a folder; ``limits`` are settings by their names.

    Other users may read the folder, so that not its mode but the decoder's confinement is what is tested.
    """
    folder.mkdir(mode=0o755)
    environment = {"SCRIBEWIRE_BLOBS": folder.as_uri()}
    environment |= {f"SCRIBEWIRE_{name.upper()}": str(value) for name, value in (limits or {}).items()}
    with patch.dict(os.environ, environment):
        async with build() as service:
            (stage,) = service.stages
            assert isinstance(stage, EachStage)
            made = Chamber(stage, FolderBlobs(folder))
            assert not (wrong := await made.survives()), wrong
            yield made


GOOD = wav(data=(media.SAMPLES / "monologue.wav").read_bytes()[44:][:32_000])
"""A second of speech."""

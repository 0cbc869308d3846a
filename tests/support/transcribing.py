"""Jobs as a user has them done: submitted, followed to their end, and completed or else an error."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scribewire.client import Client, Job
from scribewire.config import Gateway
from support.media import make
from support.running import Running
from support.tones import recording


def transcribe(client: Client, file: Path, **options: Any) -> Job:
    """Have a recording transcribed; raises `RuntimeError` with the job when it does not end as completed."""
    job = client.submit(file, options)
    *_, ended = client.follow(str(job["id"]))
    if ended["status"] != "completed":
        raise RuntimeError(ended)
    return ended


def transcribe_all(platform: Running, files: Sequence[Path], **options: Any) -> list[Job]:
    """Have recordings transcribed, all at once, each over a connection of its own."""

    def one(file: Path) -> Job:
        with Client(Gateway(platform.url, platform.key)) as client:
            return transcribe(client, file, **options)

    with ThreadPoolExecutor(len(files)) as pool:
        return list(pool.map(one, files))


def tones(folder: Path, minutes: int, *, tags: Mapping[str, str] | None = None) -> Path:
    """A recording that is small and cheap to decode: a minute of tones and pauses, over and over.

    Parameters
    ----------
    tags
        Metadata; two recordings that differ in it are not the same bytes.
    """
    minute, flac, path = folder / "minute.wav", folder / "minute.flac", folder / f"{minutes}-minutes.mka"
    minute.write_bytes(recording(1, bursts=50))
    make("-i", minute, flac)
    labels = [word for name, text in (tags or {}).items() for word in ("-metadata", f"{name}={text}")]
    make("-stream_loop", str(minutes - 1), "-i", flac, "-c", "copy", *labels, path)
    return path

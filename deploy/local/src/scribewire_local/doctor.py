"""Looks whether this machine can run everything, and says what to do where it cannot."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import psutil

from common.settings import ProviderSettings
from scribewire_local.home import Home
from scribewire_local.java import cache_folder, find_java, kafka_jars
from scribewire_local.pguser import account, programs
from scribewire_local.ports import is_free, listener
from scribewire_local.settings import LocalSettings
from scribewire_local.state import State

_KEYS = ("deepgram_api_key", "openai_api_key")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok`, `note` (works, but know this) or `bad` (will not work)."""

    subject: str
    verdict: Literal["ok", "note", "bad"]
    text: str


def examine(settings: LocalSettings) -> Iterator[Finding]:
    """Look at each thing in turn; the first look may download Kafka's jars."""
    yield Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _try("Java", lambda: str(find_java()))
    yield _try("Kafka", lambda: f"{len(kafka_jars())} jars in {cache_folder()}")
    yield _try("PostgreSQL", _postgres)
    yield _try("FFmpeg", _ffmpeg)
    yield _apertium()
    providers = ProviderSettings()
    present = [name.upper() for name in _KEYS if getattr(providers, name)]
    if present:
        yield Finding("providers", "ok", f"{', '.join(present)} set: paid engines are used first")
    else:
        yield Finding("providers", "note", "no provider's key is set: speech is recognised offline by pocketsphinx")
    yield from _machine(settings)
    yield from _parts(settings)


def _try(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, "ok", look())
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding(subject, "bad", str(error))


def _postgres() -> str:
    user = account()
    said = subprocess.run([programs(user) / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return said.strip() if user.uid is None else f"{said.strip()}, run as user {user.uid} because this is root"


def _ffmpeg() -> str:
    import av  # noqa: PLC0415 - 40 MB of libraries that no other command needs

    return f"libraries {av.ffmpeg_version_info} by PyAV {av.__version__}"


def _apertium() -> Finding:
    if shutil.which("apertium") is None:
        return Finding(
            "Apertium", "note", "not installed: no offline translation (apt install apertium apertium-eng-spa)"
        )
    said = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False).stdout.split()
    return Finding("Apertium", "ok", f"pairs: {', '.join(said) or 'none'}")


def _machine(settings: LocalSettings) -> Iterator[Finding]:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Finding("data folder", "bad", f"{settings.home} cannot be written; set SCRIBEWIRE_HOME")
    free = shutil.disk_usage(folder).free
    yield Finding("disk", "ok" if free > 2 << 30 else "note", f"{free / 2**30:.1f} GiB free for {settings.home}")
    memory = psutil.virtual_memory()
    verdict: Literal["ok", "note"] = "ok" if memory.available > 1_500 << 20 else "note"
    yield Finding("memory", verdict, f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")


def _parts(settings: LocalSettings) -> Iterator[Finding]:
    state = State.read(Home(settings.home).state_file)
    if state is None or not state.supervised():
        free = is_free(settings.port)
        text = "free" if free else f"in use{listener(settings.port)}; set SCRIBEWIRE_PORT to another one"
        yield Finding(f"port {settings.port}", "ok" if free else "bad", text)
        yield Finding("platform", "note", "not running: scribewire up")
        return
    for part in state.checked().parts:
        verdict: Literal["ok", "bad"] = "ok" if part.state == "running" else "bad"
        yield Finding(part.name, verdict, part.state if verdict == "ok" else f"{part.state}, see {part.log}")

"""The service's end of a plug-in process: one for each job, killed when it hangs, and blamed by name when it breaks."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from common.errors import Permanent, Transient
from common.plugins import wire
from common.plugins.audio import Audio

log = structlog.get_logger(__name__)

WORKER = "common.plugins.worker"

_LATE_SECONDS = 5.0
"""A time-out that is noticed later than this says that this process stood still, not that a plug-in hung."""

_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}

_ENVIRONMENT = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_OWN = "SCRIBEWIRE_PLUGIN_"
"""Variables that begin so are for plug-ins; they get no other of ours, since some hold keys."""


@dataclass(frozen=True)
class Outcome:
    """The settings plug-ins left, and which of them changed which one last."""

    settings: Mapping[str, Any]
    changed_by: Mapping[str, str]


class Plugins:
    """The plug-ins of one job; made by `open_plugins`.

    Every method raises `common.errors.Permanent` with the code ``plugin_failed``, naming the plug-in, when one fails,
    hangs, ends its process or gives back what it may not, and `Transient` when the process was killed from outside.
    """

    def __init__(self, process: Process, *, seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self._running = "?"
        self.hears = False
        """Whether any of them has something to do with audio."""
        self.reads = False
        """Whether any of them has something to do with text."""

    async def begin(self, names: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Load them. Raises `Transient` when one is not installed here: another instance may have it."""
        asked = wire.words({"plugins": list(names), "settings": dict(settings)})
        (said,) = await self._ask(wire.BEGIN, asked)
        facts = json.loads(said)
        self.hears, self.reads = facts["hears"], facts["reads"]

    async def pre_process(self, passage: Audio) -> list[Audio]:
        """A passage through all of them, in their order; what is left of it, by time."""
        answers = await self._ask(wire.AUDIO, wire.PLACE.pack(passage.at) + passage.pcm)
        return [Audio(answer[wire.PLACE.size :], wire.PLACE.unpack_from(answer)[0]) for answer in answers]

    async def outcome(self) -> Outcome:
        """The settings as they left them."""
        (said,) = await self._ask(wire.SETTINGS, b"")
        return Outcome(**json.loads(said))

    async def post_process(self, text: str, pieces: Sequence[str]) -> tuple[str, list[str]]:
        """A text through all of them, and its pieces through those that changed it."""
        asked = await asyncio.to_thread(wire.words, {"text": text, "pieces": list(pieces)})
        (said,) = await self._ask(wire.TEXT, asked)
        given = await asyncio.to_thread(json.loads, said)
        return given["text"], given["pieces"]

    async def _ask(self, kind: bytes, payload: bytes) -> list[bytes]:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(kind, payload)
        except TimeoutError:
            if clock() - began > self._seconds + _LATE_SECONDS:
                raise Transient("The work of a plug-in was interrupted.", code="plugin_interrupted") from None
            log.warning("plugin_hung", plugin=self._running, seconds=self._seconds)
            raise self._failed(f"took longer than {self._seconds:g} seconds") from None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            raise await self._broke_off() from None

    async def _exchange(self, kind: bytes, payload: bytes) -> list[bytes]:
        to, answers = self._process.stdin, self._process.stdout
        assert to is not None  # noqa: S101 - made with pipes
        assert answers is not None  # noqa: S101
        to.write(wire.HEADER.pack(kind, len(payload)) + payload)
        await to.drain()
        got: list[bytes] = []
        while True:
            said, size = wire.HEADER.unpack(await answers.readexactly(wire.HEADER.size))
            if size > wire.LONGEST:
                msg = "a message of a plug-in process is too long"
                raise ValueError(msg)
            content = await answers.readexactly(size)
            if said == wire.RUNNING:
                self._running = content.decode(errors="replace")
            elif said == wire.FAILED:
                raise self._told(json.loads(content))
            elif said == wire.DONE:
                return got
            elif said == kind:
                got.append(content)

    def _told(self, why: Mapping[str, Any]) -> Permanent | Transient:
        if "missing" in why:
            return Transient(f"The plug-in {why['missing']} is not installed here.", code="plugin_not_installed")
        self._running = why["plugin"]
        log.warning("plugin_failed", plugin=why["plugin"], what=why["what"], where=why["where"])
        return self._failed(why["what"])

    async def _broke_off(self) -> Permanent | Transient:
        status = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LATE_SECONDS):
                status = await self._process.wait()
        log.warning("plugin_process_ended", plugin=self._running, status=status)
        if status in _FROM_OUTSIDE:
            return Transient(f"The plug-in {self._running} was stopped from outside.", code="plugin_failed")
        return self._failed("ended its process")

    def _failed(self, what: str) -> Permanent:
        return Permanent(
            "plugin_failed", f"The plug-in {self._running} {what}. Leave it out, or ask who runs this service."
        )


@asynccontextmanager
async def open_plugins(names: Sequence[str], settings: Mapping[str, Any], *, seconds: float) -> AsyncIterator[Plugins]:
    """Start the plug-ins of a job; leaving the context kills their process, whatever it does.

    Parameters
    ----------
    names
        Which, in which order; each is run once.
    settings
        The job's settings.
    seconds
        How long all of them may take for one passage, for a text, or to start.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", WORKER, str(os.getpid()),
            stdin=PIPE, stdout=PIPE, env=_environment(), limit=1 << 20, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Transient("No process for plug-ins can be started.", code="plugin_unavailable") from error
    try:
        plugins = Plugins(process, seconds=seconds)
        await plugins.begin(tuple(dict.fromkeys(names)), settings)
        yield plugins
    finally:
        await asyncio.shield(_end(process))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith(_OWN)}


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # with whatever a plug-in has started
    await process.wait()

"""The process in which the plug-ins of one job run: requests in on stdin, answers out on stdout, one at a time.

It ends when stdin ends, and on Linux also in mid-work when its parent dies.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any, BinaryIO

from common.plugins import wire
from common.plugins.audio import Audio
from common.plugins.chain import Chain, NotInstalled, PluginFailed

_PR_SET_PDEATHSIG = 1


class _Server:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._chain: Chain | None = None
        self._told = ""

    def answer(self, kind: bytes, payload: bytes) -> None:
        try:
            self._answer(kind, payload)
        except NotInstalled as missing:
            self._say(wire.FAILED, {"missing": str(missing)})
        except PluginFailed as failed:
            self._say(wire.FAILED, {"plugin": failed.plugin, "what": failed.what, "where": _where(failed)})
        else:
            wire.write(self._out, wire.DONE)

    def _answer(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.BEGIN:
            asked = _words(payload)
            self._chain = Chain(asked["plugins"], asked["settings"], self._running)
            self._say(wire.BEGIN, {"hears": self._chain.hears, "reads": self._chain.reads})
            return
        assert self._chain is not None  # noqa: S101 - the service begins with BEGIN
        if kind == wire.AUDIO:
            (at,) = wire.PLACE.unpack_from(payload)
            for part in self._chain.pre_process(Audio(payload[wire.PLACE.size :], at)):
                wire.write(self._out, wire.AUDIO, wire.PLACE.pack(part.at) + part.pcm)
        elif kind == wire.SETTINGS:
            self._say(wire.SETTINGS, {"settings": self._chain.settings, "changed_by": self._chain.changed_by})
        elif kind == wire.TEXT:
            asked = _words(payload)
            text, pieces = self._chain.post_process(asked["text"], asked["pieces"])
            self._say(wire.TEXT, {"text": text, "pieces": pieces})

    def _running(self, plugin: str) -> None:
        if plugin != self._told:
            wire.write(self._out, wire.RUNNING, plugin.encode())
            self._told = plugin

    def _say(self, kind: bytes, value: Any) -> None:
        wire.write(self._out, kind, wire.words(value))


def _words(payload: bytes) -> Any:
    return json.loads(payload)


def _where(failed: PluginFailed) -> list[str]:
    """The lines of code it failed at, for the log; not the error's own words, which may quote a transcript."""
    cause = failed.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause is not None else []
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]


def die_with_parent(parent: int) -> None:
    """Ask Linux for a SIGKILL when the parent dies; end at once when it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def main(parent: int) -> None:
    """Answer requests until there are no more."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A plug-in that prints must not break the protocol, nor read from it: both get descriptors of their own.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.nice(5)  # the event loops beside it keep their heartbeats
    server = _Server(answers)
    while (request := wire.read(requests)) is not None:
        server.answer(*request)


if __name__ == "__main__":
    main(int(sys.argv[1]))

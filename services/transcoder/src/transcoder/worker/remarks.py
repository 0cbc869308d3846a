"""Hears what FFmpeg's libraries log about a file and keeps only what it means."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

from transcoder.causes import named_in
from transcoder.worker.resample import Loudness
from transcoder.worker.wire import Findings

_ENDS_EARLY = re.compile(r"partial file|[Pp]acket corrupt|[Tt]runcat|ended prematurely")
_ESTIMATED = "Estimating duration from bitrate"


class Remarks:
    """Takes log messages as they come; however many a hostile file provokes, nothing of them is kept."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._logs: list[tuple[int, str, str]] = []
        self.loudness = Loudness()
        self.estimated = False
        """Whether the announced duration is a guess from the file's size."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the libraries, to warnings and errors."""
        av.logging.set_level(av.logging.WARNING)
        with av.logging.Capture() as self._logs:
            yield
            self.take()

    def take(self) -> None:
        """Look at what was said since the last time."""
        if not self._logs:
            return
        for _, name, message in self._logs:
            if "volumedetect" in name:
                self.loudness.add(message)
                continue
            self.estimated = self.estimated or _ESTIMATED in message
            self._findings.ends_early = self._findings.ends_early or bool(_ENDS_EARLY.search(message))
            self._findings.causes |= named_in(message)
        self._logs.clear()

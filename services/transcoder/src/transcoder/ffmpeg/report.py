"""Judges what a worker said of a file: what it is, and why there is no audio to be had from it."""

import re
import signal
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from common.errors import Permanent
from transcoder.causes import CAUSES, Cause
from transcoder.ports import Media
from transcoder.worker.wire import END, MEDIA, Described, Findings

_DESCRIBED = TypeAdapter(Described)
_FINDINGS = TypeAdapter(Findings)

_WORD = 64
"""Characters of a container's or codec's name; whoever sends more is no worker of ours."""

_LARGEST = 2.0**40
"""No rate, no count and no duration is larger."""


class Report:
    """What is known of one file; a file may have taken its worker over, so what that says is checked."""

    def __init__(self) -> None:
        self.media: Media | None = None
        """What the file is; None while or if that is not known."""
        self._findings: Findings | None = None

    def take(self, kind: bytes, payload: bytes) -> None:
        """Read a message; one that is none is as good as silence."""
        try:
            if kind == MEDIA:
                said = _DESCRIBED.validate_json(payload)
                self.media = Media(
                    _word(said.container),
                    _word(said.codec),
                    int(_number(said.channels) or 0),
                    int(_number(said.sample_rate) or 0),
                    _number(said.duration),
                    said.estimated,
                )
            elif kind == END:
                self._findings = _FINDINGS.validate_json(payload)
                if self.media is not None:
                    mean, peak = self._findings.mean_dbfs, self._findings.peak_dbfs
                    self.media = replace(self.media, mean_dbfs=_level(mean), peak_dbfs=_level(peak))
        except ValidationError:
            pass

    @property
    def whole(self) -> bool:
        """Whether the worker came to the end of its work."""
        return self._findings is not None

    @property
    def kept(self) -> tuple[int, int]:
        """Channels and samples a second of the file that was written; 0 where nothing true was said."""
        if self._findings is None:
            return 0, 0
        return self._findings.kept_channels, self._findings.kept_rate

    @property
    def ends_early(self) -> bool:
        """Whether the file ends before its own structure says so."""
        return self._findings is not None and self._findings.ends_early

    def fatal(self, status: int) -> Cause | None:
        """What makes the file fail even if audio came out of it, given the worker's exit status."""
        if status == -signal.SIGXCPU:
            return CAUSES["resources"]
        return next((cause for cause in self._causes if cause.fatal), None)

    def refusal(self, status: int) -> Permanent:
        """Why nothing was decoded, given the worker's exit status (negative: the signal that ended it)."""
        codec = None if self.media is None else self.media.codec
        if codec is not None and CAUSES["codec"] in self._causes:
            return Permanent("unsupported_codec", f"The audio codec {codec} is not supported.")
        telling = next((cause for cause in self._causes if cause is not CAUSES["noise"]), None)
        if telling is not None:
            return telling.permanent()
        if self._findings is None or status != 0:
            return Permanent("undecodable", "The decoder crashed on this file. Convert it to WAV, FLAC or MP3.")
        if codec is None:
            return CAUSES["noise"].permanent()
        if self._findings.broken or self._findings.ends_early:
            return Permanent("undecodable", f"The file says that it holds {codec} audio, but it cannot be decoded.")
        return Permanent("empty_audio", "The audio track is empty.")

    @property
    def _causes(self) -> list[Cause]:
        found = set() if self._findings is None else self._findings.causes
        return [cause for key, cause in CAUSES.items() if key in found]


def _word(said: str) -> str:
    """A name without what could be markup, a path or a line's end: it goes into messages and events."""
    return re.sub(r"[^\w.,+-]", "", said, flags=re.ASCII)[:_WORD]


def _number(said: float | None) -> float | None:
    """A number that can be true: finite, not negative, not beyond all measure; no other is passed on."""
    return said if said is not None and 0 <= said < _LARGEST else None


def _level(said: float | None) -> float | None:
    return said if said is not None and abs(said) < 1000 else None

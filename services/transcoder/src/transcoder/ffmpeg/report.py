"""Reads what ffmpeg writes to its standard error: what the file is, and what went wrong with it."""

import re

from common.errors import Permanent
from transcoder.ffmpeg.causes import CAUSES, NOT_MEDIA, Cause
from transcoder.ports import Media

_LINE_LIMIT = 1000
"""Bytes of a line that are looked at; a hostile tag may be a megabyte long."""

_CONTAINER = re.compile(r"Input #0, (\S+), from ")
_DURATION = re.compile(r"  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_AUDIO = re.compile(r"  Stream #0:\d+.*?: Audio: (\w+).*?, (\d+) Hz, ([^,]+)")
_LAYOUTS = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8, "hexadecagonal": 16}

_ENDS_EARLY = re.compile(r"partial file|[Pp]acket corrupt|corrupt input packet|[Tt]runcat|ended prematurely")
_STOPPED = re.compile(r"Exiting normally, received signal (\d+)")
_BROKEN = re.compile(r"Invalid data found|Error submitting packet|Header missing|Error while decoding")


class Report:
    """Standard error of one ffmpeg, run with ``-loglevel level+info``, line by line; holds nothing but findings."""

    def __init__(self) -> None:
        self._rest = b""
        self._container = ""
        self._audio: tuple[str, int, int] | None = None
        self._duration: float | None = None
        self._estimated = False
        self._refused_codecs: set[str] = set()
        self._causes: set[Cause] = set()
        self.announced = False
        """Whether ffmpeg has said all it knows of the file."""
        self.ends_early = False
        """Whether the file ends before its own structure says so."""
        self.stopped_by: int | None = None
        """The signal that made ffmpeg end before the file did."""
        self._broken = False

    def feed(self, raw: bytes) -> None:
        """Take some more of standard error; a chunk may end anywhere."""
        *lines, rest = (self._rest + raw).split(b"\n")
        self._rest = rest[:_LINE_LIMIT]
        for line in lines:
            self._read(line[:_LINE_LIMIT].decode(errors="replace"))

    @property
    def media(self) -> Media | None:
        """What the file is; None while or if that is not known."""
        if self._audio is None:
            return None
        codec, rate, channels = self._audio
        return Media(self._container, codec, channels, rate, self._duration, self._estimated)

    @property
    def fatal(self) -> Cause | None:
        """What makes the file fail even if audio came out of it."""
        return next((cause for cause in CAUSES if cause in self._causes and cause.fatal), None)

    def refusal(self, returncode: int) -> Permanent:
        """Why nothing was decoded, given ffmpeg's exit status (negative: the signal that ended it)."""
        if self._audio is not None and self._audio[0] in self._refused_codecs:
            return Permanent("unsupported_codec", f"The audio codec {self._audio[0]} is not supported.")
        telling = next((cause for cause in CAUSES if cause in self._causes and cause is not NOT_MEDIA), None)
        if telling is not None:
            return telling.permanent()
        if returncode < 0:
            return Permanent("undecodable", "The decoder crashed on this file. Convert it to WAV, FLAC or MP3.")
        if self._audio is not None and returncode == 0 and not self._broken and not self.ends_early:
            return Permanent("empty_audio", "The audio track is empty.")
        if self._audio is not None:
            return Permanent(
                "undecodable", f"The file says that it holds {self._audio[0]} audio, but it cannot be decoded."
            )
        return NOT_MEDIA.permanent()

    def _read(self, tagged: str) -> None:
        if tagged.startswith(" "):
            return  # a title or comment goes on, in the words of whoever made the file
        line = re.sub(r"^(\[[^\]]* @ [^\]]*\] )*\[\w+\] ", "", tagged)
        if line.startswith("Output #0,"):
            self.announced = True
        elif not self.announced and self._audio is None:
            self._read_banner(line)
        if stopped := _STOPPED.match(line):
            self.stopped_by = int(stopped[1])
        if "[info]" in tagged and self.stopped_by is None:
            return
        if refused := re.match(r"Codec \((\w+)\) not on whitelist", line):
            self._refused_codecs.add(refused[1])
            return
        self.ends_early = self.ends_early or bool(_ENDS_EARLY.search(line))
        self._broken = self._broken or bool(_BROKEN.search(line))
        self._causes.update(cause for cause in CAUSES if cause.pattern.search(line))

    def _read_banner(self, line: str) -> None:
        if "Estimating duration from bitrate" in line:
            self._estimated = True
        elif found := _CONTAINER.match(line):
            self._container = found[1].rstrip(",")
        elif found := _DURATION.match(line):
            self._duration = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
        elif found := _AUDIO.match(line):
            self._audio = (found[1], int(found[2]), _channels(found[3]))


def _channels(layout: str) -> int:
    if counted := re.match(r"(\d+) channels", layout):
        return int(counted[1])
    if re.match(r"\d+\.\d", layout):
        return sum(map(int, re.findall(r"\d+", layout.partition("(")[0])))
    return _LAYOUTS.get(layout.strip(), 0)

"""Reads what ffmpeg writes to its standard error: what the file is, and what went wrong with it."""

import re

from common.errors import Permanent, StageError, Transient
from transcoder.ports import Media

_LINE_LIMIT = 1000
"""Bytes of a line that are looked at; a hostile tag may be a megabyte long."""

_CONTAINER = re.compile(r"Input #0, (\S+), from ")
_DURATION = re.compile(r"  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_AUDIO = re.compile(r"  Stream #0:\d+.*?: Audio: (\w+).*?, (\d+) Hz, ([^,]+)")
_LAYOUTS = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8}

_DAMAGE = re.compile(r"partial file|[Cc]orrupt input packet|Packet corrupt|truncat|File ended prematurely|Invalid data found")

_CAUSES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), code, message)
    for pattern, code, message in (
        (
            r"moov atom not found",
            "truncated",
            "The file ends before its index (the moov atom): the upload or the recording was cut off. Send the whole file.",
        ),
        (r"matches no streams", "no_audio", "The file has no audio track."),
        (
            r"DRM protected|activation_bytes|[Uu]nsupported encryption|[Ee]ncrypted",
            "encrypted",
            "The file is encrypted or copy-protected. Send it without protection.",
        ),
        (r"exceeds max_streams", "decoder_limits", "The file has too many tracks. Send only the audio track."),
        (
            r"Cannot allocate memory|received signal 24|system signals, hard exiting",
            "decoder_limits",
            "Decoding the file takes more memory or computing time than is allowed. Convert it to WAV, FLAC or MP3.",
        ),
        (r"[Nn]o decoder found|Decoder \S+ not found", "unsupported_codec", "The audio codec of the file is not supported."),
        (
            r"Error opening input|Invalid data found|not on whitelist",
            "not_media",
            "The file is not audio or video in a format that can be read.",
        ),
    )
)


class Report:
    """Standard error of one ffmpeg, run with ``-loglevel level+info``, line by line; holds nothing but findings."""

    def __init__(self) -> None:
        self._rest = b""
        self._container = ""
        self._audio: tuple[str, int, int] | None = None
        self._duration: float | None = None
        self._estimated = False
        self._refused_codecs: set[str] = set()
        self._cause = len(_CAUSES)
        self.announced = False
        """Whether ffmpeg has said all it knows of the file."""
        self.damaged = False
        """Whether ffmpeg met something broken or missing."""

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

    def refusal(self, returncode: int) -> StageError:
        """Why nothing was decoded, given ffmpeg's exit status (negative: the signal that killed it)."""
        if self._audio is not None and self._audio[0] in self._refused_codecs:
            return Permanent("unsupported_codec", f"The audio codec {self._audio[0]} is not supported.")
        if self._cause < len(_CAUSES) and _CAUSES[self._cause][1] != "not_media":
            return Permanent(*_CAUSES[self._cause][1:])
        if returncode == -9:
            return Transient("The decoder was killed from outside.", code="decoder_killed")
        if returncode < 0:
            return Permanent("undecodable", "The decoder crashed on this file. Convert it to WAV, FLAC or MP3.")
        if self._audio is not None and self.damaged:
            return Permanent("undecodable", f"The file looks like {self._audio[0]} audio, but none of it can be decoded.")
        if self._audio is not None and returncode == 0:
            return Permanent("empty_audio", "The audio track is empty.")
        return Permanent(*_CAUSES[-1][1:])

    def _read(self, tagged: str) -> None:
        line = re.sub(r"^(\[[^\]]* @ [^\]]*\] )*\[\w+\] ", "", tagged)
        if line.startswith("Output #0,"):
            self.announced = True
        elif not self.announced and self._audio is None:
            self._read_banner(line)
        if "[info]" in tagged:
            return
        if refused := re.match(r"Codec \((\w+)\) not on whitelist", line):
            self._refused_codecs.add(refused[1])
            return
        self.damaged = self.damaged or bool(_DAMAGE.search(line))
        for rank, (pattern, _, _) in enumerate(_CAUSES[: self._cause]):
            if pattern.search(line):
                self._cause = rank
                break

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
    if dotted := re.match(r"(\d+)\.(\d+)", layout):
        return int(dotted[1]) + int(dotted[2])
    return _LAYOUTS.get(layout.strip(), 0)

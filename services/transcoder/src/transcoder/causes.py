"""What the errors of FFmpeg's libraries mean for the person who sent the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import Permanent


@dataclass(frozen=True)
class Cause:
    """The stable ``code``, told as ``message``; log messages that match ``pattern`` mean it.

    ``fatal`` says that what was decoded all the same must not pass for the whole.
    """

    code: str
    message: str
    pattern: re.Pattern[str] | None = None
    fatal: bool = False

    def permanent(self) -> Permanent:
        """The failure to raise."""
        return Permanent(self.code, self.message)


CAUSES: Mapping[str, Cause] = {
    "cut off": Cause(
        "truncated",
        "The file ends before its index: the upload or the recording was cut off. Send the whole file.",
        re.compile(r"moov atom not found"),
    ),
    "silent film": Cause("no_audio", "The file has no audio track."),
    "protected": Cause(
        "encrypted",
        "The file is encrypted or copy-protected. Send it without protection.",
        re.compile(r"DRM protected|activation_bytes|[Uu]nsupported encryption|[Ee]ncrypted"),
    ),
    "tracks": Cause(
        "decoder_limits",
        "The file has too many tracks. Send only the audio track.",
        re.compile(r"exceeds max_streams"),
        fatal=True,
    ),
    "resources": Cause(
        "decoder_limits",
        "Decoding the file takes more memory or computing time than is allowed. Convert it to WAV, FLAC or MP3.",
        re.compile(r"Cannot allocate memory"),
        fatal=True,
    ),
    "encoder": Cause(
        "audio_not_stored",
        "The audio cannot be written in the format that audio_format names. Name another one, or leave it out.",
        fatal=True,
    ),
    "codec": Cause(
        "unsupported_codec", "The audio codec of the file is not supported. Convert it to WAV, FLAC or MP3."
    ),
    "noise": Cause("not_media", "The file is not audio or video in a format that can be read."),
}
"""The more telling first: one failure makes the libraries log several errors."""


def named_in(message: str) -> set[str]:
    """Keys of the causes that a log message speaks of."""
    return {key for key, cause in CAUSES.items() if cause.pattern and cause.pattern.search(message)}

"""What ffmpeg's errors mean for the person who sent the file."""

import re
from dataclasses import dataclass

from common.errors import Permanent


@dataclass(frozen=True)
class Cause:
    """Errors that match ``pattern`` mean the stable ``code``, told as ``message``.

    ``fatal`` says that what was decoded all the same must not pass for the whole.
    """

    pattern: re.Pattern[str]
    code: str
    message: str
    fatal: bool = False

    def permanent(self) -> Permanent:
        """The failure to raise."""
        return Permanent(self.code, self.message)


ENCRYPTED = Cause(
    re.compile(r"DRM protected|activation_bytes|[Uu]nsupported encryption|[Ee]ncrypted"),
    "encrypted",
    "The file is encrypted or copy-protected. Send it without protection.",
)

NOT_MEDIA = Cause(
    re.compile(r"Error opening input|Invalid data found|Format not on whitelist"),
    "not_media",
    "The file is not audio or video in a format that can be read.",
)

CAUSES = (
    Cause(
        re.compile(r"moov atom not found"),
        "truncated",
        "The file ends before its index: the upload or the recording was cut off. Send the whole file.",
    ),
    Cause(re.compile(r"matches no streams"), "no_audio", "The file has no audio track."),
    ENCRYPTED,
    Cause(
        re.compile(r"exceeds max_streams"),
        "decoder_limits",
        "The file has too many tracks. Send only the audio track.",
        fatal=True,
    ),
    Cause(
        re.compile(
            r"Cannot allocate memory|Resource temporarily unavailable|received signal 24|system signals, hard exiting"
        ),
        "decoder_limits",
        "Decoding the file takes more memory or computing time than is allowed. Convert it to WAV, FLAC or MP3.",
        fatal=True,
    ),
    Cause(
        re.compile(r"[Nn]o decoder found|Decoder \S+ not found"),
        "unsupported_codec",
        "The audio codec of the file is not supported. Convert it to WAV, FLAC or MP3.",
    ),
    NOT_MEDIA,
)
"""The more telling first: one failure makes ffmpeg write several errors."""

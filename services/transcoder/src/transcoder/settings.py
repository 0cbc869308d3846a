"""Settings of the transcoder; the limits are on what comes out of a file, never on how large it is."""

import os
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, JsonValue
from pydantic_settings import NoDecode

from common.settings import CommonSettings

VIDEO_SITES = (
    *("youtube.com", "youtu.be", "youtube-nocookie.com", "vimeo.com", "dailymotion.com", "dai.ly"),
    *("soundcloud.com", "ted.com", "vocaroo.com", "voca.ro"),
)


def _listed(value: object) -> object:
    return tuple(site.strip() for site in value.split(",") if site.strip()) if isinstance(value, str) else value


class TranscoderSettings(CommonSettings):
    """The limits inside which one file is fetched and decoded.

    The defaults leave room for a day of audio: that takes about four minutes of CPU and 300 MiB of address space.
    """

    max_audio_seconds: float = Field(
        default=24 * 3600.0, gt=0, description="Seconds of audio in one file; a longer file fails as `too_long`."
    )
    decoder_wall_seconds: float = Field(
        default=2 * 3600.0, gt=0, description="Seconds spent waiting for the decoder of one file, in all."
    )
    decoder_stall_seconds: float = Field(
        default=60.0, gt=0, description="Seconds without one decoded sample after which the decoder counts as hung."
    )
    decoder_cpu_seconds: int = Field(default=3600, ge=1, description="CPU seconds one file may take.")
    decoder_memory_mib: int = Field(
        default=1024,
        ge=384,
        description="Address space for one file in MiB; about 150 of them are programs.",
    )
    decoder_uid: int = Field(
        default=65534, ge=1, description="User the decoder runs as when the service itself is root."
    )

    stored_audio_max_mb: int = Field(
        default=2048,
        ge=1,
        description="Largest audio stored for a job's `audio_format`, in units of 1,048,576 bytes, which pass through "
        "a temporary file; beyond it the job fails as `audio_too_large`.",
    )
    plugin_settings: dict[str, JsonValue] = Field(
        default={},
        description='What plug-ins find in their settings, a JSON object, for example `{"loudness_target": -16}`.',
    )
    max_file_size_mb: int = Field(
        default=500,
        ge=1,
        validation_alias=AliasChoices("MAX_FILE_SIZE_MB", "SCRIBEWIRE_MAX_FILE_SIZE_MB"),
        description="Largest file that is fetched from an address, in units of 1,048,576 bytes.",
    )
    fetch_seconds: float = Field(
        default=3600.0, gt=0, description="Seconds spent waiting for one file from an address, in all."
    )
    fetch_stall_seconds: float = Field(
        default=30.0, gt=0, description="Silence of a server after which fetching is put off."
    )
    fetches: int = Field(
        default=8, ge=1, description="Files fetched from addresses at once, beside those that are decoded."
    )
    fetches_per_owner: int = Field(
        default=2, ge=1, description="Of these at most so many of one owner, in each lane; the others wait their turn."
    )
    fetch_allow_private: bool = Field(
        default=False, description="Fetch from private networks and this machine as well; for development."
    )
    video_sites: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=VIDEO_SITES, description="Sites whose pages yt-dlp is given, separated by commas; none switches it off."
    )

    @property
    def max_file_size(self) -> int:
        """Largest file that is fetched, in bytes."""
        return self.max_file_size_mb * 1024 * 1024

    @property
    def largest_audio(self) -> int:
        """Largest audio that is stored beside an original, in bytes."""
        return self.stored_audio_max_mb * 1024 * 1024

    @property
    def slots(self) -> int:
        """Files decoded at once: the setting, or one for each core up to four."""
        return self.concurrency or min(os.cpu_count() or 1, 4)

"""Settings of the transcoder; the limits are on what comes out of a file, never on how large it is."""

import os

from pydantic import Field, JsonValue

from common.settings import CommonSettings


class TranscoderSettings(CommonSettings):
    """The limits inside which one file is decoded.

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

    plugin_settings: dict[str, JsonValue] = Field(
        default={},
        description='What plug-ins find in their settings, a JSON object, for example `{"loudness_target": -16}`.',
    )

    @property
    def slots(self) -> int:
        """Files decoded at once: the setting, or one for each core up to four."""
        return self.concurrency or min(os.cpu_count() or 1, 4)

"""The forms in which a job's audio can be stored beside its original: one entry each, and everything follows from it.

The option `audio_format`, its check at the gateway, the encoder that the transcoder runs, the blob's name and the type
of the download are all read from here, so a new format is one more entry (docs/audio-formats.md says how to choose it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_USUAL_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """How audio is written.

    ``container`` and ``encoder`` are FFmpeg's names of the muxer and the encoder, ``options`` what the muxer is told;
    ``codec`` is what comes out. ``rates`` are the samples a second it is written with, rising. ``bit_rate`` is in bits
    a second for each channel; None leaves it to the encoder. ``ending`` is that of file names, without the dot.
    """

    container: str
    encoder: str
    codec: str
    media_type: str
    ending: str
    rates: tuple[int, ...] = _USUAL_RATES
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def rate(self, source: int) -> int:
        """Samples a second for a source with so many: the next that is not fewer, or the most there are."""
        return next((rate for rate in self.rates if rate >= source), self.rates[-1])

    def channels(self, source: int) -> int:
        """Channels for a source with so many: one stays one, any more become two."""
        return min(max(source, 1), 2)


AUDIO_FORMATS: Mapping[str, AudioFormat] = {
    "wav": AudioFormat(
        container="wav",
        encoder="pcm_s16le",
        codec="pcm_s16le",
        media_type="audio/wav",
        ending="wav",
        options={"rf64": "auto"},  # beyond 4 GiB, where an operator allows that much
    ),
    "mp3": AudioFormat(
        container="mp3",
        encoder="libmp3lame",
        codec="mp3",
        media_type="audio/mpeg",
        ending="mp3",
        bit_rate=64_000,
    ),
    # Opus in both: FFmpeg's libraries come without libvorbis, and their own encoder of Vorbis is an experiment.
    "ogg": AudioFormat(
        container="ogg",
        encoder="libopus",
        codec="opus",
        media_type="audio/ogg",
        ending="ogg",
        rates=(48_000,),
        bit_rate=48_000,
    ),
    "opus": AudioFormat(
        container="opus",
        encoder="libopus",
        codec="opus",
        media_type="audio/ogg; codecs=opus",
        ending="opus",
        rates=(48_000,),
        bit_rate=32_000,
    ),
    "flac": AudioFormat(
        container="flac",
        encoder="flac",
        codec="flac",
        media_type="audio/flac",
        ending="flac",
    ),
}
"""Every format by the name that clients use. New ones go to the end; a name once given keeps its meaning."""


def _known(name: str) -> str:
    if name not in AUDIO_FORMATS:
        raise ValueError(f"must be one of {', '.join(AUDIO_FORMATS)}")
    return name


AudioFormatName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(AUDIO_FORMATS)})
]
"""The name of a format that is in the table."""

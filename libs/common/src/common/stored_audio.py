"""What is known of the audio that was stored beside a job's original; it travels among the facts of its media."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

Facts = Mapping[str, str | int | float]

_PREFIX = "stored_"


@dataclass(frozen=True)
class StoredAudio:
    """Audio as it was written: ``format`` is a name of `common.audio_formats`, ``size`` is in bytes."""

    format: str
    codec: str
    channels: int
    sample_rate: int
    seconds: float
    size: int

    def facts(self) -> Facts:
        """The same as a flat mapping, as events and the manifest carry it among the facts of the media."""
        return {f"{_PREFIX}{name}": value for name, value in vars(self).items()}

    @classmethod
    def among(cls, media: Facts) -> Self | None:
        """What the facts of a job's media say of stored audio; None where none was stored."""
        try:
            return cls(
                format=str(media[f"{_PREFIX}format"]),
                codec=str(media[f"{_PREFIX}codec"]),
                channels=int(media[f"{_PREFIX}channels"]),
                sample_rate=int(media[f"{_PREFIX}sample_rate"]),
                seconds=float(media[f"{_PREFIX}seconds"]),
                size=int(media[f"{_PREFIX}size"]),
            )
        except (KeyError, ValueError, OverflowError):
            return None


def without_stored(media: Facts) -> Facts:
    """The facts of the recording itself."""
    return {name: value for name, value in media.items() if not name.startswith(_PREFIX)}

"""The audio a plug-in gets: a passage of a recording that knows where in the recording it lies."""

from dataclasses import dataclass, replace
from typing import Any

RATE = 16_000
"""Samples a second."""

_FULL_SCALE = 32_768.0


@dataclass(frozen=True)
class Audio:
    """A passage of at most about a minute, one channel, which begins and ends in a pause where there is one.

    ``pcm`` is its samples as signed 16-bit little-endian integers, ``at`` the sample of the recording at which it
    begins, ``rate`` how many samples a second has.
    """

    pcm: bytes
    at: int
    rate: int = RATE

    @property
    def samples(self) -> int:
        """How many samples it has."""
        return len(self.pcm) // 2

    @property
    def start(self) -> float:
        """Seconds from the start of the recording."""
        return self.at / self.rate

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples / self.rate

    def part(self, begin: int, end: int) -> "Audio":
        """Its samples from ``begin`` up to, not including, ``end``; the part knows where in the recording it lies."""
        begin, end = max(0, begin), min(self.samples, end)
        return replace(self, pcm=self.pcm[2 * begin : 2 * end], at=self.at + begin)

    def with_pcm(self, pcm: bytes) -> "Audio":
        """Other samples at the same place."""
        return replace(self, pcm=pcm)

    def floats(self) -> Any:
        """The samples as a numpy array of float32 from -1 to 1; needs numpy."""
        import numpy as np  # noqa: PLC0415 - only plug-ins that compute with arrays need it

        return np.frombuffer(self.pcm, dtype="<i2").astype(np.float32) / _FULL_SCALE

    def with_floats(self, samples: Any) -> "Audio":
        """Other samples at the same place, from an array as `floats` gives one; what is beyond full scale is clipped.

        Raises
        ------
        ValueError
            When it is no array of one dimension, or has values that are no numbers.
        """
        import numpy as np  # noqa: PLC0415 - as above

        array = np.asarray(samples, dtype=np.float32)
        if array.ndim != 1 or not np.isfinite(array).all():
            msg = "audio is an array of one dimension of finite numbers"
            raise ValueError(msg)
        scaled = np.clip(np.rint(array * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
        return self.with_pcm(scaled.astype("<i2").tobytes())

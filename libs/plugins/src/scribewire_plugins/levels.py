"""How loud each short stretch of a passage is."""

import numpy as np
from numpy.typing import NDArray

from common.plugins import Audio

FRAME = 320
"""Samples of a stretch: 20 ms."""

_LEAST = 1e-10
"""Power of silence: -100 dB."""


def levels(audio: Audio) -> NDArray[np.float64]:
    """Mean power in dB below full scale of each whole 20 ms of some audio."""
    samples = audio.floats()
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + _LEAST)
    return power

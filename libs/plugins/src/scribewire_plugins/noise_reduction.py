"""Noise reduction by spectral gating: what is as loud all the time is taken away from every frequency."""

import numpy as np
from numpy.typing import NDArray

from common.plugins import Audio, Plugin, Settings
from scribewire_plugins.given import number
from scribewire_plugins.levels import levels

SIZE = 512
"""Samples of one spectrum: 32 ms."""

HOP = SIZE // 4

DEPTH_DB = 14.0
"""By how much noise is lowered; what is taken away wholly leaves tones behind that recognisers hear as speech."""

CLEAN_DB = 25.0
"""A passage whose speech stands so far out of its pauses is left as it is: nothing could be gained."""

_OVER = 2.0
_QUIET = 0.2
_BIAS = 1.3
"""The noise is estimated from the quieter moments of a frequency, so it is more than that."""

_Power = NDArray[np.float32]


class NoiseReduction(Plugin):
    """Lowers steady noise such as hiss, hum and fans by up to ``noise_reduction_db`` (14) dB.

    Each passage's noise is estimated from its own quieter moments, so nothing needs to be known of it before, and
    noise that changes from minute to minute is followed. Other voices and music are not noise.
    """

    def get_name(self) -> str:
        """Its name."""
        return "noise_reduction"

    def pre_process(self, audio: Audio, settings: Settings) -> Audio:
        """Lower the noise of a passage."""
        depth = number(settings, "noise_reduction_db", DEPTH_DB, least=0, most=40)
        loud = levels(audio)
        if len(loud) < SIZE // 16 or np.percentile(loud, 95) - np.percentile(loud, 10) >= CLEAN_DB:
            return audio
        return audio.with_floats(gate(audio.floats(), depth))


def gate(samples: _Power, depth_db: float) -> _Power:
    """Lower in every frequency what is not louder than the passage's noise there; as many samples as were given."""
    window = np.sqrt(np.hanning(SIZE + 1)[:-1]).astype(np.float32)
    padded = np.concatenate([np.zeros(SIZE, np.float32), samples, np.zeros(2 * SIZE, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    spectrum = np.fft.rfft(frames * window, axis=1).astype(np.complex64)
    power = np.square(np.abs(spectrum))
    whole = slice(SIZE // HOP, max(SIZE // HOP + 1, len(samples) // HOP))  # beyond are frames that are partly ours
    noise = np.quantile(_smooth(power, 4, axis=0)[whole], _QUIET, axis=0) * _BIAS
    ratio = _smooth(_smooth(power, 2, axis=0), 1, axis=1) / np.maximum(noise, 1e-12)
    gain = np.sqrt(np.clip(1 - _OVER / np.maximum(ratio, 1e-6), 10 ** (-depth_db / 10), 1)).astype(np.float32)
    pieces = np.fft.irfft(spectrum * gain, SIZE, axis=1).astype(np.float32) * window
    out = np.zeros(len(padded), np.float32)
    for first in range(SIZE // HOP):  # every fourth window follows the one before without overlap
        row = pieces[first :: SIZE // HOP].reshape(-1)
        out[first * HOP : first * HOP + len(row)] += row
    return out[SIZE : SIZE + len(samples)] * np.float32(0.5)


def _smooth(values: _Power, reach: int, *, axis: int) -> _Power:
    """The mean of each value and as many on either side."""
    edges = [(0, 0), (0, 0)]
    edges[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(values, edges, mode="edge"), axis=axis, dtype=np.float64)
    width = 2 * reach + 1
    upper = np.take(sums, range(width, sums.shape[axis]), axis=axis)
    lower = np.take(sums, range(sums.shape[axis] - width), axis=axis)
    return ((upper - lower) / width).astype(np.float32)

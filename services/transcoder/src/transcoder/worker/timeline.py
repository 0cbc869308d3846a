"""Keeps every sample at its time in the recording, as its file's time stamps tell it."""

from fractions import Fraction

WRONG_CLOCK = 600
"""Seconds: a longer leap is a wrong clock, not a pause."""

RESTARTED_CLOCK = 10
"""The same for containers whose clocks may restart, like MPEG-TS; there it starts anew in either direction."""

JITTER = 0.1
"""Seconds by which stamps may differ from the samples before; a shorter gap is rounding."""


class Timeline:
    """Says how much silence belongs before each frame: a late start, and gaps, for which no packet was sent.

    Nothing is ever dropped: where times run backwards they go on from the frame before.

    Parameters
    ----------
    start
        Seconds of the stamps at which the recording begins.
    restarts
        Whether the container's clock may start anew in mid-file.
    rate
        Samples a second.
    unit
        Seconds of one tick of the stamps.
    """

    def __init__(self, *, start: Fraction, restarts: bool, rate: int, unit: Fraction) -> None:
        self.rate = rate
        self._start = start
        self._unit = unit
        self._restarts = restarts
        scale = unit * rate
        self._multiply, self._divide = scale.numerator, scale.denominator
        self._shift = round(-start * rate)
        self._leap = (RESTARTED_CLOCK if restarts else WRONG_CLOCK) * rate
        self._jitter = int(JITTER * rate)
        self._least = rate // 1000
        self._next = 0
        self._filled = 0

    def at_rate(self, rate: int) -> "Timeline":
        """Go on from here with frames of another rate."""
        other = Timeline(start=self._start, restarts=self._restarts, rate=rate, unit=self._unit)
        other._shift = self._shift * rate // self.rate
        other._next = self._next * rate // self.rate
        other._filled = self._filled * rate // self.rate
        return other

    def gap(self, stamp: int | None, samples: int) -> int:
        """Samples of silence to put before a frame of so many samples."""
        at = self._next
        if stamp is not None:
            told = stamp * self._multiply // self._divide + self._shift
            if self._restarts and abs(told - at) > self._leap:
                self._shift += at - told
            elif at < told <= at + self._leap:
                at = told
        self._next = at + samples
        silence = at - self._filled
        if silence <= (self._jitter if self._filled else self._least):
            silence = 0
        self._filled += silence + samples
        return silence

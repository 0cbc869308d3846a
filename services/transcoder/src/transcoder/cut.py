"""Cuts audio at pauses into pieces of bounded length, while it is still being decoded."""

from array import array
from collections.abc import Iterator

from transcoder.ports import RATE, SAMPLE_BYTES

FRAME = RATE // 50
"""Samples of one loudness value: 20 ms. Cuts lie between frames."""

FRAME_BYTES = FRAME * SAMPLE_BYTES

PAUSE = 8
"""Frames of quiet that make a pause: 160 ms, the first whole number of frames above 150 ms."""

STRIDE = 8
"""Every eighth sample is enough to tell speech from a pause, and costs 9 s of CPU for a day of audio."""

FLOOR = 20.0
"""Mean amplitude (of 32,767) below which a frame is quiet whatever surrounds it: about -64 dB."""


def levels(frames: bytes) -> list[float]:
    """Mean absolute amplitude (0..32,768) of each whole frame in some audio."""
    samples = array("h", frames[: len(frames) // FRAME_BYTES * FRAME_BYTES])[::STRIDE]
    each = FRAME // STRIDE
    return [sum(map(abs, samples[at : at + each])) / each for at in range(0, len(samples), each)]


def pauses(loudness: list[float]) -> Iterator[tuple[int, int]]:
    """Every pause as first frame and the frame behind its last.

    Quiet is what lies in the lowest seventh between the background, the level of the quietest frames that could make
    a pause, and the speech, the 90th percentile; so noise under the speech moves the threshold along.
    """
    ranked = sorted(loudness)
    background, speech = ranked[min(PAUSE, len(ranked)) - 1], ranked[len(ranked) * 9 // 10]
    threshold = max(FLOOR, background + (speech - background) / 7)
    start: int | None = None
    for frame, level in enumerate([*loudness, float("inf")]):
        if level <= threshold:
            start = frame if start is None else start
        elif start is not None:
            if frame - start >= PAUSE:
                yield start, frame
            start = None


def best_cut(loudness: list[float], earliest: int, latest: int) -> int:
    """The frame before which to cut, ``earliest <= frame <= latest``.

    The middle of the longest pause in the last third; without one, of the longest pause before that; without any,
    the quietest frame of the last third, which may fall into a word.
    """
    preferred = max(earliest, latest * 2 // 3)
    quiet = list(pauses(loudness))
    for low in (preferred, earliest):
        inside = [(max(start, low), min(end, latest)) for start, end in quiet]
        if lengths := [(end - start, (start + end) // 2) for start, end in inside if end - start >= PAUSE]:
            return max(lengths)[1]
    return min(range(preferred, latest + 1), key=lambda frame: loudness[frame])


class Cutter:
    """Takes audio as it comes and gives it back in pieces that together are exactly the audio.

    Parameters
    ----------
    max_seconds
        Longest piece, at least 1 s; None for one piece of any length, which is passed on without being held.

    No piece is shorter than a second (or a third of ``max_seconds``, when that is less) unless it is the only one:
    engines refuse very short audio. How the audio is chunked does not change where it is cut. At most ``max_seconds``
    and a second of audio are held.
    """

    def __init__(self, max_seconds: float | None) -> None:
        self._max = None if max_seconds is None else int(max_seconds * RATE) // FRAME
        self._tail = 0 if self._max is None else min(RATE // FRAME, self._max // 3)
        self._passed = False
        self._held = bytearray()
        self._levels: list[float] = []

    def feed(self, pcm: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take some audio; yield what is decided, each with whether a cut follows it."""
        if self._max is None:
            self._passed = self._passed or bool(pcm)
            yield pcm, False
            return
        self._held += pcm
        measured = len(self._levels) * FRAME_BYTES
        self._levels += levels(bytes(self._held[measured:]))
        while len(self._levels) > self._max + self._tail:
            yield self._take(best_cut(self._levels[: self._max + self._tail], self._tail, self._max)), True

    def finish(self) -> Iterator[tuple[bytes, bool]]:
        """Yield what is left; nothing when there was no audio."""
        if self._max is not None and len(self._held) > self._max * FRAME_BYTES:
            latest = min(self._max, len(self._levels) - self._tail)
            yield self._take(best_cut(self._levels, self._tail, latest)), True
        if self._passed or self._held:
            yield bytes(self._held), True
            self._held.clear()
            self._passed = False

    def _take(self, frames: int) -> bytes:
        piece = bytes(self._held[: frames * FRAME_BYTES])
        del self._held[: frames * FRAME_BYTES]
        del self._levels[:frames]
        return piece

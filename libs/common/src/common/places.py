"""Where in the recording a segment's audio was heard, when something was left out of it."""

from bisect import bisect_right
from collections.abc import Sequence

Place = tuple[float, float]
"""From so many seconds of a segment's audio on, what is heard lies at so many seconds of the recording."""

_FRAME = 0.01
"""Seconds by which engines round: what begins or ends so near to where something was left out does so just there."""


def heard_at(seconds: float, start: float, places: Sequence[Place], *, ending: bool = False) -> float:
    """The time in the recording of a moment in a segment's audio.

    Parameters
    ----------
    seconds
        From the start of the segment's audio.
    start
        Where in the recording that begins.
    places
        Where something was left out, by time.
    ending
        Whether something ends at that moment: then it ends before what was left out there, not behind it.
    """
    looked = seconds - _FRAME if ending else seconds + _FRAME
    before = bisect_right(places, looked, key=lambda place: place[0])
    at, heard = places[before - 1] if before else (0.0, start)
    return heard + (seconds - at)


def audio_seconds(start: float, end: float, places: Sequence[Place]) -> float:
    """How long a segment's audio is, which reaches from ``start`` to ``end`` in the recording."""
    at, heard = places[-1] if places else (0.0, start)
    return at + (end - heard)

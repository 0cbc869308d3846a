"""Keeps account of where in the recording the samples that are kept were heard."""

from bisect import bisect_left, bisect_right

from common.places import Place
from transcoder.ports import RATE, SAMPLE_BYTES

_BYTES_A_SECOND = RATE * SAMPLE_BYTES


class Places:
    """Grows while audio is kept; positions are bytes of what is kept, times are seconds of the recording."""

    def __init__(self) -> None:
        self._positions = [0]
        self._shifts = [0]

    def add(self, position: int, heard: int) -> None:
        """What is kept from ``position`` on was heard at byte ``heard`` of the recording."""
        shift = heard - position
        if shift == self._shifts[-1]:
            return
        if position == self._positions[-1]:
            self._shifts[-1] = shift
        else:
            self._positions.append(position)
            self._shifts.append(shift)

    def start(self, position: int) -> float:
        """When what begins at a position was heard."""
        return (position + self._shifts[bisect_right(self._positions, position) - 1]) / _BYTES_A_SECOND

    def end(self, position: int) -> float:
        """When what ends at a position, behind 0, was heard to its end."""
        return (position + self._shifts[max(1, bisect_left(self._positions, position)) - 1]) / _BYTES_A_SECOND

    def between(self, begin: int, end: int) -> tuple[Place, ...]:
        """Where between two positions something was left out, as a segment between them tells it."""
        first, behind = bisect_right(self._positions, begin), bisect_left(self._positions, end)
        return tuple(
            (
                round((self._positions[at] - begin) / _BYTES_A_SECOND, 3),
                round((self._positions[at] + self._shifts[at]) / _BYTES_A_SECOND, 3),
            )
            for at in range(first, behind)
        )

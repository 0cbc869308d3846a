"""How far a partition is finished: the end of the contiguous prefix of records that are done."""

from collections import deque
from typing import Generic, TypeVar


class Mark:
    """One record that was taken; whoever finishes it sets ``finished``."""

    __slots__ = ("finished", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.finished = False


M = TypeVar("M", bound=Mark)


class Prefix(Generic[M]):
    """What was taken from one partition since it was assigned, in order, and how far all of it is finished.

    Offsets grow but may have gaps (compaction, transactions), so the prefix is of the records seen, not of numbers.
    """

    __slots__ = ("_last", "_open", "committed", "end", "lost")

    def __init__(self) -> None:
        self._open: deque[M] = deque()
        self._last = -1
        self.end: int | None = None
        """One past the last record of the finished prefix: the offset to commit. None until a record is finished."""
        self.committed: int | None = None
        """What was committed last; kept by whoever commits."""
        self.lost = False
        """The partition was revoked: nothing of this counts any more."""

    def __len__(self) -> int:
        """How many records are held back: taken and not in the prefix as of the last `advance`."""
        return len(self._open)

    def take(self, mark: M) -> None:
        """Note that a record was taken; offsets must grow."""
        if mark.offset <= self._last:
            msg = f"offset {mark.offset} was taken after {self._last}"
            raise ValueError(msg)
        self._last = mark.offset
        self._open.append(mark)

    def advance(self) -> int | None:
        """Move `end` over what has been finished; return `end`."""
        pending = self._open
        while pending and pending[0].finished:
            self.end = pending.popleft().offset + 1
        return self.end

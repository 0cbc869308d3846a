"""What is gathered of a blob in a store that forgets nothing: pieces of many writers, of which one order is true."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Turn:
    """A writer's turn. A later one makes void what an earlier one stores after it began."""

    number: int
    writer: str


@dataclass(frozen=True, order=True)
class Piece:
    """Bytes that one writer stored in its turn: where they begin, how many they are."""

    turn: Turn
    start: int
    size: int
    tail: bool = False
    """Whether they lie beside, to be read again, as they are too few for a block."""

    @property
    def end(self) -> int:
        """Where the bytes after these begin."""
        return self.start + self.size


def chain(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces that are true, in order and without a gap.

    A writer begins where a piece ends, and only after its turn is known to all; so from its first piece on, what
    earlier turns have there does not count, whenever it came.
    """
    true: list[Piece] = []
    for piece in sorted(pieces):
        while true and true[-1].turn < piece.turn and true[-1].start >= piece.start:
            true.pop()
        if piece.start == (true[-1].end if true else 0):
            true.append(piece)
    return true

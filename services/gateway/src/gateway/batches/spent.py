"""Owners whose budget is used up: for how long their items that cost something are passed over."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.batches.work import Place

FIRST_SECONDS = 60.0
"""How long after a refusal the next such item is tried."""
LONGEST_SECONDS = 600.0
"""The most that comes to when each is refused: a budget may be back any time, for a plan was changed, or a job failed
that would have cost something."""


@dataclass
class Pause:
    """How one owner's items wait.

    Parameters
    ----------
    until
        When the next item that costs something is tried, by the clock.
    seconds
        How long that is after the last.
    place
        How far the owner's items were looked through for such as cost nothing.
    """

    until: float
    seconds: float
    place: Place | None = None


class Spent:
    """Remembers whose budget is used up, in this gateway alone: another finds out by one refusal.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[str, Pause] = {}

    def of(self, owner: str) -> Pause | None:
        """The owner's pause, while it lasts."""
        pause = self._pauses.get(owner)
        return pause if pause is not None and self._clock() < pause.until else None

    def met(self, owner: str) -> float:
        """Note that an item was refused for the budget; how many seconds such items wait now."""
        pause = self._pauses.get(owner)
        if pause is None or self._clock() >= pause.until:
            seconds = FIRST_SECONDS if pause is None else min(pause.seconds * 2, LONGEST_SECONDS)
            pause = self._pauses[owner] = Pause(self._clock() + seconds, seconds)
        return pause.seconds

    def passed(self, owner: str) -> None:
        """Note that nothing was refused after the pause: the next begins small."""
        if self.of(owner) is None:
            self._pauses.pop(owner, None)

    def keep(self, owners: Collection[str]) -> None:
        """Forget all but those who have items that wait."""
        self._pauses = {owner: pause for owner, pause in self._pauses.items() if owner in owners}

"""What some events need before their handler runs, on lanes of its own: who waits for it holds none of the stage's."""

from collections import deque
from collections.abc import Awaitable, Callable

from common.bus.crew import Crew
from common.bus.stage import Before
from common.bus.window import Window
from common.bus.work import Delivery


class Errand:
    """A delivery that needs something done before, and whose it is."""

    __slots__ = ("bulk", "delivery", "owner")

    def __init__(self, delivery: Delivery, owner: str) -> None:
        self.delivery = delivery
        self.owner = owner
        self.bulk = delivery.bulk


class Beforehand:
    """Runs errands, of one owner only so many at once: the others of theirs stand in nobody's way.

    What waits here is bounded by what a partition may hold back (`common.bus.subscription.SPAN`), not by a queue: a
    topic that is not read on would keep back everybody's events that need nothing done before.
    """

    def __init__(self, before: Before, crew: Crew) -> None:
        self.window: Window[Errand] = Window(before.concurrency, crew, lambda: None)
        self._of_one = before.of_one_owner
        self._at_once: dict[tuple[str, bool], int] = {}
        self._waiting: dict[tuple[str, bool], deque[Errand]] = {}

    def start(self, run: Callable[[Delivery], Awaitable[None]]) -> None:
        """Start the lanes; ``run`` deals with one delivery and must not raise."""

        async def in_turn(errand: Errand) -> None:
            try:
                await run(errand.delivery)
            finally:
                self._ended(errand)

        self.window.start(in_turn)

    def put(self, delivery: Delivery, owner: str) -> None:
        """Let a delivery wait for its turn."""
        errand = Errand(delivery, owner)
        # An owner's bulk does not stand in front of what the same owner is waiting for.
        whose = owner, errand.bulk
        if self._at_once.get(whose, 0) >= self._of_one:
            self._waiting.setdefault(whose, deque()).append(errand)
        else:
            self._at_once[whose] = self._at_once.get(whose, 0) + 1
            self.window.put([errand])

    def _ended(self, errand: Errand) -> None:
        whose = errand.owner, errand.bulk
        waiting = self._waiting.get(whose)
        if waiting:
            self.window.put([waiting.popleft()])
            if not waiting:
                del self._waiting[whose]
        elif self._at_once[whose] > 1:
            self._at_once[whose] -= 1
        else:
            del self._at_once[whose]

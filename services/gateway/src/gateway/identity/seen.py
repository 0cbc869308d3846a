"""Credentials that were found good a moment ago, so that most requests cost a look into a dictionary.

What was confirmed is believed for two seconds: that is how long a revocation at another gateway takes. While PostgreSQL
is away, what it confirmed in the last ten minutes is believed on. Only digests of credentials are kept.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from gateway.identity.keys import Admitted
from gateway.principal import Principal

FRESH = 2.0
"""Seconds that a good credential is believed without asking again."""

AWAY = 600.0
"""Seconds since the last confirmation that it is believed while nobody can be asked."""

WRONG = 5.0
"""Seconds that a bad one is refused without asking again."""

MOST_GOOD = 50_000
MOST_WRONG = 10_000


@dataclass(slots=True)
class Good:
    """A credential that was confirmed: whose, when (by the clock), fresh until, and its own end (epoch seconds)."""

    principal: Principal
    confirmed: float
    fresh_until: float
    ends: float


class Seen:
    """Remembers good and bad credentials by their digests, no more of either than fits.

    Parameters
    ----------
    clock
        Seconds that only grow.
    now
        Seconds since the epoch.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._now = now
        self._good: dict[bytes, Good] = {}
        self._wrong: dict[bytes, tuple[float, str]] = {}
        self.changes = 0
        """Grows with each `forget`: an answer that was asked for before is not to be remembered."""

    def fresh(self, digest: bytes) -> Principal | None:
        """Who showed this credential within the last two seconds."""
        found = self._good.get(digest)
        return found.principal if found is not None and self._clock() < found.fresh_until else None

    def lately(self, digest: bytes) -> Principal | None:
        """Who showed this credential within the last ten minutes, unless it has ended since."""
        found = self._good.get(digest)
        if found is None or self._clock() - found.confirmed > AWAY or self._now() >= found.ends:
            return None
        return found.principal

    def wrong(self, digest: bytes) -> str | None:
        """Why this credential was refused within the last few seconds."""
        found = self._wrong.get(digest)
        return found[1] if found is not None and self._clock() < found[0] else None

    def confirm(self, digest: bytes, admitted: Admitted, *, changes: int) -> None:
        """Remember a good one, unless something was forgotten since ``changes`` was read."""
        if changes != self.changes:
            return
        now = self._clock()
        left = admitted.ends - self._now()
        self._good.pop(digest, None)  # So that the order is that of confirmation, and the first is the oldest.
        self._good[digest] = Good(admitted.principal, now, now + min(FRESH, left), admitted.ends)
        self._wrong.pop(digest, None)
        self._trim(now)

    def refuse(self, digest: bytes, reason: str) -> None:
        """Remember a bad one."""
        self._good.pop(digest, None)
        if len(self._wrong) >= MOST_WRONG:
            self._wrong.clear()
        self._wrong[digest] = (self._clock() + WRONG, reason)

    def forget(self, credential: UUID) -> None:
        """Believe no longer in a key or a session that was ended or changed here."""
        self.changes += 1
        for digest in [d for d, good in self._good.items() if good.principal.credential == credential]:
            del self._good[digest]

    def forget_owner(self, owner: str) -> None:
        """Believe no longer in anything of an owner whose account ended."""
        self.changes += 1
        for digest in [d for d, good in self._good.items() if good.principal.owner == owner]:
            del self._good[digest]

    def _trim(self, now: float) -> None:
        while self._good:
            oldest, good = next(iter(self._good.items()))
            if len(self._good) <= MOST_GOOD and now - good.confirmed <= AWAY:
                return
            del self._good[oldest]

"""A bound on requests, so that a flood costs next to nothing: a bucket in memory for each address and each key."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from aiohttp import web

from gateway.callers import Callers, is_loopback, neighbourhood
from gateway.principal import Principal
from gateway.problems import RATE_LIMITED, Problem

BURST_SECONDS = 10.0
"""How many seconds' worth of requests may come at once."""


class Buckets:
    """Token buckets, of which those longest unused are forgotten; a forgotten one is full again.

    Parameters
    ----------
    per_second
        Tokens that drip in.
    burst
        Tokens that a full bucket holds, at least 1.
    most
        Buckets held.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, per_second: float, burst: float, *, most: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._step = 1 / per_second
        self._depth = (burst - 1) / per_second
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, whose: Hashable) -> float:
        """Take a token; 0 when there was one, else the seconds until there is."""
        now = self._clock()
        full_at = max(self._full_at.get(whose, now), now)
        if (wait := full_at - now - self._depth) > 0:
            return wait
        self._full_at[whose] = full_at + self._step
        self._full_at.move_to_end(whose)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0


class Floods:
    """Two bounds: one before the door, by address, and one behind it, by key or session.

    A process on this machine is not bounded by its address, which it shares with everybody on it; nor is the operator.

    Parameters
    ----------
    per_second
        Requests that one address, or one key, may make of this gateway; ten times that at once.
    """

    def __init__(self, callers: Callers, *, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._callers = callers
        self._by_address = Buckets(per_second, per_second * BURST_SECONDS, clock=clock)
        self._by_key = Buckets(per_second, per_second * BURST_SECONDS, clock=clock)

    def outside(self, request: web.Request) -> None:
        """Refuse an address that asks too often, before anything is looked up; raises a 429 problem."""
        address = self._callers.address(request)
        if not self._from_here(request, address) and (wait := self._by_address.take(neighbourhood(address))):
            raise _refusal(wait)

    def _from_here(self, request: web.Request, address: str) -> bool:
        # Through a proxy on this machine that is not named everybody seems to be from here: they share a bucket.
        forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        return (not forwarded or self._callers.trusts(request)) and is_loopback(address)

    def inside(self, principal: Principal) -> None:
        """Refuse a key that asks too often; raises a 429 problem."""
        if principal.via != "operator" and (wait := self._by_key.take(principal.credential or principal.owner)):
            raise _refusal(wait)


def _refusal(wait: float) -> Problem:
    return Problem(
        RATE_LIMITED,
        "Requests come faster than one caller may send them; see Retry-After.",
        headers={"Retry-After": str(math.ceil(wait))},
    )

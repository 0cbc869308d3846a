"""The gate every job passes: counted once, by its id, or refused; and given back when nothing came of it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from common import catalogue
from common.events import UploadReceived
from common.options import JobOptions, SegmentPlan
from gateway.database import StoreBusy, StoreUnavailable
from gateway.principal import OPERATOR, account_id
from gateway.walls.plans import NO_LIMITS, PLANS, Limits, with_changes
from gateway.walls.price import FREE, Price, price_of
from gateway.walls.standing import LOOK_AGAIN, Standing
from gateway.walls.store import WallsStore
from gateway.walls.turns import Turns

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 10.0
_AWAY_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The plan of an owner, and what it comes to for them."""

    plan: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to make a job; ``standing`` is None where nobody counts: for the operator, and without Postgres."""

    limits: Limits = NO_LIMITS
    standing: Standing | None = None
    priced: bool = True
    """Whether the price was known, so that the budget was looked at."""

    @property
    def headers(self) -> Mapping[str, str]:
        """``RateLimit`` and ``RateLimit-Policy``; none where there are no limits."""
        return self.standing.headers(self.limits) if self.standing is not None else {}


UNCOUNTED = Admission()


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs an owner may send now, and after how many seconds to ask again when that is none."""

    jobs: int
    wait: float


class Gate:
    """Holds owners to their limits.

    Without Postgres everybody goes on without limits: the log is the truth, and the counts are made good from the rows
    later. A Postgres that is only busy is no reason to: who does not come to be counted in time raises `StoreBusy`.

    Parameters
    ----------
    plans
        The plans by name.
    engines
        What is configured, for prices.
    clock
        Seconds, to forget what is remembered.
    patience
        Seconds that a request waits for those its owner sent before; longer than Postgres is waited for twice, so that
        the first can tell the others that it is away.
    """

    def __init__(
        self,
        store: WallsStore,
        *,
        plans: Mapping[str, Limits] = PLANS,
        engines: Sequence[catalogue.Engine] = (),
        clock: Callable[[], float] = time.monotonic,
        patience: float = 8.0,
    ) -> None:
        self._store = store
        self._plans = plans
        self._engines = engines
        self._clock = clock
        self._terms: OrderedDict[str, tuple[float, Terms]] = OrderedDict()
        self._turns = Turns(patience=patience)
        self._away_until = 0.0

    async def terms(self, owner: str) -> Terms:
        """What an owner may use, at most ten seconds old; raises `StoreUnavailable`."""
        if owner == OPERATOR:
            return Terms(OPERATOR, self._plans[OPERATOR])
        found = self._terms.get(owner)
        if found is not None and self._clock() < found[0]:
            return found[1]
        plan, changes = await self.look_up(owner)
        terms = Terms(plan, self.apply(plan, changes))
        self._terms[owner] = (self._clock() + REMEMBERED_SECONDS, terms)
        self._terms.move_to_end(owner)
        while len(self._terms) > _MOST_REMEMBERED:
            self._terms.popitem(last=False)
        return terms

    async def look_up(self, owner: str) -> tuple[str, dict[str, Any]]:
        """The plan of an owner, and what is other for them than in it."""
        return await self._store.limits(owner, account_id(owner), "free")

    def apply(self, plan: str, changes: Mapping[str, Any]) -> Limits:
        """What a plan and changes to it come to; a plan that is not known is the smallest."""
        return with_changes(self._plans.get(plan, self._plans["free"]), changes)

    async def stand(self, owner: str) -> tuple[str, Limits, Standing | None]:
        """An owner's plan, limits and how they stand, None for the operator; raises `StoreUnavailable`."""
        terms = await self.terms(owner)
        if owner == OPERATOR:
            return terms.plan, terms.limits, None
        async with self._turns.of(owner):
            standing = await self._store.admit(owner, None, terms.limits, price=0.0, paid=False)
        return terms.plan, terms.limits, standing

    def forget(self, owner: str) -> None:
        """Look up an owner's limits anew next time."""
        self._terms.pop(owner, None)

    def price(self, options: JobOptions, plan: SegmentPlan) -> Price:
        """What a job will cost."""
        return price_of(options, plan, self._engines)

    async def admit(self, owner: str, job: UUID, price: Price | None) -> Admission:
        """Count a job, once however often it is asked; `held` gives it back as well.

        Parameters
        ----------
        price
            None while the options are not known; the budget is looked at when they are.

        Raises
        ------
        Problem
            402 or 429, which names the limit and when to come again.
        StoreBusy
            When Postgres is there and could not count it in time.
        """
        admission = await self._ask(owner, job, price)
        _refuse(admission)
        return admission

    async def check(self, owner: str, price: Price = FREE) -> Admission:
        """Raise the problem a further job would meet now, without counting: for what becomes a job much later."""
        admission = await self._ask(owner, None, price)
        _refuse(admission)
        return admission

    async def room(self, owner: str) -> Room:
        """How many jobs may be sent now, for who sends many and rather waits than be refused."""
        admission = await self._ask(owner, None, FREE)
        standing = admission.standing
        if standing is None:
            return Room(2**31, 0.0)
        jobs = standing.room(admission.limits)
        if jobs > 0:
            return Room(jobs, 0.0)
        if standing.verdict in {"jobs", "seconds"}:
            return Room(0, standing.month_left)
        return Room(0, max(standing.wait, 1.0) if standing.verdict == "rate" else float(LOOK_AGAIN))

    @asynccontextmanager
    async def held(self, owner: str, job: UUID, price: Price | None) -> AsyncIterator[Admission]:
        """Count a job for the length of the block, and for good unless the block fails."""
        admission = await self.admit(owner, job, price)
        try:
            yield admission
        except BaseException:
            await self._give_back(owner, job, admission)
            raise

    @asynccontextmanager
    async def settled(self, event: UploadReceived, admission: Admission | None) -> AsyncIterator[None]:
        """Make sure that a job which is about to be published was counted and is within the budget.

        Parameters
        ----------
        admission
            What `held` gave before the upload; None where the event is the first that is heard of the job.
        """
        price = FREE if event.same_as is not None else self.price(event.options, event.plan)
        if admission is None:
            async with self.held(event.owner, event.job_id, price):
                yield
            return
        if not admission.priced and price.paid:
            async with self.held(event.owner, event.job_id, price):
                yield
            return
        yield

    async def _ask(self, owner: str, job: UUID | None, price: Price | None) -> Admission:
        if owner == OPERATOR or self._is_away():
            return UNCOUNTED
        known = price or FREE
        try:
            async with self._turns.of(owner):
                if self._is_away():  # as others found out meanwhile
                    return UNCOUNTED
                terms = await self.terms(owner)
                standing = await self._store.admit(
                    owner, job, terms.limits, price=known.usd_per_minute, paid=known.paid
                )
        except StoreBusy:
            if self._is_away():
                return UNCOUNTED
            raise
        except StoreUnavailable:
            # Each look at a database that is frozen costs seconds: for a while nobody has to wait for another.
            self._away_until = self._clock() + _AWAY_SECONDS
            log.warning("limits_not_counted")
            return UNCOUNTED
        return Admission(terms.limits, standing, priced=price is not None)

    def _is_away(self) -> bool:
        return self._clock() < self._away_until

    async def _give_back(self, owner: str, job: UUID, admission: Admission) -> None:
        if admission.standing is None or not admission.standing.holding:
            return

        async def in_turn() -> None:
            async with self._turns.of(owner):
                await self._store.give_back(owner, job, admission.limits)

        try:
            # The client may be gone and the request with it; the count has to be right all the same.
            await asyncio.shield(in_turn())
        except StoreUnavailable:
            log.warning("count_not_given_back")  # Done within the hour, for the job has no row.


def _refuse(admission: Admission) -> None:
    if admission.standing is not None and (problem := admission.standing.refusal(admission.limits)) is not None:
        raise problem

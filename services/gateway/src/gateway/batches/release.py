"""Batches are released, not dumped: items become jobs as earlier ones end, so many of an owner's at a time.

Every gateway runs this. What is to be done is in the rows alone, and a step that a crash cut off is done again.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import structlog
from pydantic import ValidationError

from common.blobs import BlobsUnavailable
from common.bus.producer import BusUnavailable, Producer
from common.events import Event, JobControl, Terminal
from gateway.batches.accept import Acceptor, OverBudget, PutOff
from gateway.batches.erase import Eraser
from gateway.batches.release_store import ReleaseStore
from gateway.batches.spent import Spent
from gateway.batches.work import Refusal, Work
from gateway.database import StoreUnavailable
from gateway.settings import GatewaySettings
from gateway.walls.gate import Gate

log = structlog.get_logger(__name__)

TURN = 32
"""Items of one owner that are released before it is the next owner's turn."""

_AWAY = (BusUnavailable, BlobsUnavailable, StoreUnavailable)

_BREATH = 0.05
"""Seconds between two looks, in which ends that come close together gather."""


class Releaser:
    """Releases items, notes their ends, and carries out what was asked of whole batches."""

    def __init__(
        self,
        *,
        store: ReleaseStore,
        acceptor: Acceptor,
        eraser: Eraser,
        gate: Gate,
        producer: Producer,
        settings: GatewaySettings,
        spent: Spent | None = None,
    ) -> None:
        self._store = store
        self._acceptor = acceptor
        self._eraser = eraser
        self._gate = gate
        self._producer = producer
        self._settings = settings
        self._spent = spent or Spent()
        self._woken = asyncio.Event()
        self._busy = True
        self._round = 0

    def wake(self) -> None:
        """Look at once: a batch came, or something was asked of one."""
        self._busy = True
        self._woken.set()

    def see(self, event: Event) -> None:
        """Look soon when a job has ended, if there are batches at all."""
        if self._busy and isinstance(event, Terminal | JobControl):
            self._woken.set()

    async def settle(self) -> None:
        """Note which jobs have ended, at once."""
        await self._store.finish(await self._store.settle())

    async def run(self) -> None:
        """Work until cancelled; a part that is away is waited for."""
        looked = 0.0
        while True:
            self._woken.clear()
            now = asyncio.get_running_loop().time()
            whole = now - looked >= self._settings.batch_poll_seconds
            try:
                self._busy = await self._store.busy()
                if self._busy or whole:
                    await self.look(whole=whole)
                if whole:
                    looked = now
            except _AWAY as error:
                log.warning("batches_wait", reason=type(error).__name__)
            except Exception:
                log.exception("batches_interrupted")
            await asyncio.sleep(_BREATH)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.batch_poll_seconds):
                    await self._woken.wait()

    async def look(self, *, whole: bool) -> None:
        """Do what there is to do now.

        Parameters
        ----------
        whole
            Look also for what no event tells of: work that others left behind, batches whose end was missed.
        """
        touched = await self._store.settle()
        if whole:
            await self._store.give_up_stale(older_than=timedelta(hours=self._settings.orphan_hours))
            touched |= await self._take_over()
        touched |= await self._release_all()
        await self._store.finish(None if whole else touched)
        for batch, owner in await self._store.in_status("cancelling"):
            await self._stop(batch, owner)
        for batch, _ in await self._store.in_status("deleting"):
            _, others = await self._named(batch)
            await self._store.give_up_claims(batch, older_than=self._claims_last, others=others)
            if not await self._eraser.erase_some(batch):
                self._woken.set()  # The others have their turn in between.

    async def _stop(self, batch: UUID, owner: str) -> None:
        """Tell the jobs of a cancelled batch that are at work; the last ones may be just on their way there."""
        last = not await self._store.being_claimed(batch)
        named, others = await self._named(batch)
        for job in [*await self._store.jobs_out(batch), *named]:
            await self._producer.publish(
                JobControl(job_id=job, owner=owner, lane="bulk", action="cancel"),
                timeout=self._settings.publish_seconds,
            )
        # Only now, for what was published and not noted before its gateway died must be told like the others.
        await self._store.give_up_claims(batch, older_than=self._claims_last, others=others)
        if not last:
            self._woken.set()
        else:
            await self._store.cancelled(batch)
            await self._store.finish([batch])

    async def _named(self, batch: UUID) -> tuple[list[UUID], list[int]]:
        """Jobs of claimed uploads that the batch has taken, and the lines of those that it has not.

        An upload may be a job that was never the batch's: that one is neither cancelled nor erased with it.
        """
        jobs: list[UUID] = []
        others: list[int] = []
        for item in await self._store.named(batch):
            if await self._acceptor.took(batch, item["line"], item["owner"], UUID(item["source"])):
                jobs.append(item["job_id"])
            else:
                others.append(item["line"])
        return jobs, others

    @property
    def _claims_last(self) -> timedelta:
        return timedelta(seconds=self._settings.batch_claim_seconds)

    async def _take_over(self) -> set[UUID]:
        touched: set[UUID] = set()
        while works := await self._store.claim_again(older_than=self._claims_last, limit=TURN):
            log.info("batch_items_taken_over", items=len(works))
            touched |= (await self._release(works)).touched
        return touched

    async def _release_all(self) -> set[UUID]:
        """Release a turn of each owner's, and again while there is room; who is first changes each time."""
        touched: set[UUID] = set()
        owners = sorted(await self._store.owners())
        self._round += 1
        start = self._round % len(owners) if owners else 0
        owners = owners[start:] + owners[:start]
        self._spent.keep(owners)
        while owners:
            left = []
            for owner in owners:
                # As many as the owner's limits leave room for: an item waits rather than be refused.
                room = min((await self._gate.room(owner)).jobs, TURN)
                if room == 0:
                    continue
                turn = await self._turn(owner, room)
                touched |= turn.touched
                if turn.more:
                    left.append(owner)
            owners = left
        return touched

    async def _turn(self, owner: str, room: int) -> "_Turn":
        """Release the owner's next items; of who has used up the budget, the next that cost nothing."""
        outstanding, pause = self._settings.batch_outstanding, self._spent.of(owner)
        if pause is None:
            works = await self._store.claim(owner, outstanding=outstanding, turn=room)
            more = len(works) == TURN
        else:
            looked = await self._store.claim_free(
                owner, outstanding=outstanding, turn=room, after=pause.place, free=self._acceptor.free
            )
            works, more = looked.works, looked.more
        turn = await self._release(works)
        if pause is not None:
            if not turn.put_off:
                pause.place = looked.place
        elif turn.over_budget:
            log.info("batch_items_wait_for_budget", owner=owner, seconds=self._spent.met(owner))
            more = True  # Now those that cost nothing, from the beginning.
        elif works:
            self._spent.passed(owner)
        return replace(turn, more=more and not turn.put_off)

    async def _release(self, works: Sequence[Work]) -> "_Turn":
        """Put claimed items into the log."""
        outcomes = await asyncio.gather(*(self._acceptor.accept(work) for work in works), return_exceptions=True)
        done: list[Work] = []
        later: list[Work] = []
        put_off: list[PutOff] = []
        refused: list[Refusal] = []
        away: list[BaseException] = []
        for work, outcome in zip(works, outcomes, strict=True):
            if outcome is None:
                done.append(work)
            elif isinstance(outcome, Refusal):
                refused.append(outcome)
            elif isinstance(outcome, PutOff):
                later.append(work)
                put_off.append(outcome)
            elif isinstance(outcome, _AWAY):
                away.append(outcome)  # Stays claimed, for its event may be in the log, and is released again.
            else:
                unreadable = isinstance(outcome, ValidationError)  # It would quote what it could not read.
                log.error(
                    "batch_item_broke",
                    batch_id=str(work.batch),
                    line=work.line,
                    error=type(outcome).__name__,
                    exc_info=None if unreadable else outcome,
                )
                refused.append(Refusal(work, None, "internal", "It could not be taken, which is our fault; try again."))
        for note, items in ((self._store.released, done), (self._store.put_back, later)):
            if items:
                await note(items)
        if refused:
            await self._store.refused(refused)
        if away:
            raise away[0]
        return _Turn(
            {refusal.work.batch for refusal in refused},
            put_off=any(not isinstance(one, OverBudget) for one in put_off),
            over_budget=any(isinstance(one, OverBudget) for one in put_off),
        )


@dataclass(frozen=True)
class _Turn:
    """What a turn came to.

    Parameters
    ----------
    touched
        The batches of items that were refused.
    put_off
        Whether some may not be released now, so that there is no point in more of the owner's.
    over_budget
        Whether some may not because they cost something.
    more
        Whether the owner may have another turn.
    """

    touched: set[UUID]
    put_off: bool
    over_budget: bool
    more: bool = False

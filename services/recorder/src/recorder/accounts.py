"""An account that is erased: its jobs are asked to go, then what is left of it in rows, blobs and log goes as well."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from common import layout
from common.blobs import Blobs, BlobsUnavailable
from common.errors import Transient
from common.events import JobControl, ProofDeleted, UsageRecorded, now
from recorder.ports import Accounts, ErasedAccount, Log

log = structlog.get_logger(__name__)

_AT_ONCE = 200
_STEP = 0.5
_LOOK = 2.0
_LATE_EVERY = 30


class AccountEraser:
    """Erases accounts until nothing of them is left, also what comes in late; a crash only means doing it again.

    The gateway has forgotten who it was and let nobody in since; what is here are the pipeline's facts. Jobs go the
    way every deleted job goes. What they cost goes from the rows and from the log, so that a rebuild does not bring it
    back. A day later the blobs are looked at once more: an upload may have been under way.

    Parameters
    ----------
    accounts
        Knows what is to be erased.
    blobs
        Where the bytes are.
    log
        Where jobs are asked to go, and the proof is given.
    clock
        The time, aware, in UTC.
    """

    def __init__(self, *, accounts: Accounts, blobs: Blobs, log: Log, clock: Callable[[], datetime] = now) -> None:
        self._accounts = accounts
        self._blobs = blobs
        self._log = log
        self._clock = clock

    async def run(self) -> None:
        """Erase what is asked for, and every minute what came late, until cancelled; what is away is waited for."""
        turn = 0
        while True:
            wait = _LOOK
            try:
                if await self.sweep(late=turn % _LATE_EVERY == 0):
                    wait = _STEP
            except (Transient, BlobsUnavailable) as error:
                log.warning("cannot erase an account yet, will try again", error=str(error))
            turn += 1
            await asyncio.sleep(wait)

    async def sweep(self, *, late: bool = True) -> int:
        """Go one step with every account; return how many are not done.

        Parameters
        ----------
        late
            Look at those as well of which nothing was left once.
        """
        waiting = await self._accounts.to_sweep(now=self._clock(), late=late, limit=_AT_ONCE)
        return sum([not await self._erase(account) for account in waiting])

    async def _erase(self, account: ErasedAccount) -> bool:
        if jobs := await self._accounts.jobs_of(account.owner, _AT_ONCE):
            for job, lane in jobs:
                await self._log.publish(
                    JobControl(job_id=job, owner=account.owner, lane=lane, action="delete", time=account.asked_at)
                )
            return False
        if not await self._accounts.swept_all_jobs(account.owner):
            return False
        while used := await self._accounts.usage_of(account.owner, _AT_ONCE):
            for usage in used:
                await self._log.tombstone(UsageRecorded.type, str(usage))
            await self._accounts.drop_usage(account.owner, used)
        rows = await self._accounts.drop_deliveries(account.owner)
        blobs = sum([await self._blobs.remove(prefix) for prefix in layout.owner_prefixes(account.owner)])
        if not account.forgotten:
            return False
        if blobs or not account.proved:
            await self._log.publish(
                ProofDeleted(
                    job_id=account.id,
                    owner=account.owner,
                    account=True,
                    time=account.asked_at,
                    jobs=account.jobs,
                    rows=rows.usage + rows.deliveries,
                    blobs=blobs,
                    tombstones=rows.usage,
                )
            )
        await self._accounts.swept(account.owner, self._clock())
        log.info("account erased", owner=account.owner, jobs=account.jobs, blobs=blobs)
        return True

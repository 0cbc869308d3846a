"""What remains of an erased job outside the rows: blobs are removed, the log is made to forget, and that is proved."""

import asyncio
import contextlib

import structlog

from common import layout
from common.blobs import Blobs, BlobsUnavailable
from common.errors import Transient
from common.events import (
    JobCancelled,
    JobCompleted,
    JobFailed,
    ProofDeleted,
    TranscriptCompleted,
    TranslationCompleted,
)
from recorder.ports import Log, Projection, Sweep

log = structlog.get_logger(__name__)

BY_JOB = (TranscriptCompleted, JobCompleted, JobFailed, JobCancelled)
"""Compacted events with content whose key is the job's id."""

_AT_ONCE = 20
_WAIT = 5.0
_LOOK_AGAIN = 60.0


class Eraser:
    """Sweeps erased jobs until nothing of them is left; a crash only means that a sweep is done again.

    Parameters
    ----------
    projection
        Knows what is to be swept.
    blobs
        Where the bytes are.
    log
        Where the text is.
    """

    def __init__(self, *, projection: Projection, blobs: Blobs, log: Log) -> None:
        self._projection = projection
        self._blobs = blobs
        self._log = log
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something to sweep."""
        self._asked.set()

    async def run(self) -> None:
        """Sweep what is left at the start and whenever asked, until cancelled; a store that is down is waited for."""
        while True:
            wait = _LOOK_AGAIN
            self._asked.clear()
            try:
                await self.sweep()
            except (Transient, BlobsUnavailable) as error:
                log.warning("cannot erase yet, will try again", error=str(error))
                wait = _WAIT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._asked.wait()

    async def sweep(self) -> int:
        """Sweep every erased job that asks for it; return how many."""
        count = 0
        while sweeps := await self._projection.to_sweep(_AT_ONCE):
            for one in sweeps:
                await self._sweep(one)
            count += len(sweeps)
        return count

    async def _sweep(self, sweep: Sweep) -> None:
        blobs = sum([await self._blobs.remove(prefix) for prefix in _prefixes(sweep)])
        forgotten = [(event.type, str(sweep.job_id)) for event in BY_JOB]
        forgotten += [(TranslationCompleted.type, f"{sweep.job_id}/{language}") for language in sweep.languages]
        for topic, key in forgotten:
            await self._log.tombstone(topic, key)
        if blobs or not sweep.proved:
            proof = ProofDeleted(
                job_id=sweep.job_id,
                owner=sweep.owner,
                time=sweep.erased_at,
                blobs=blobs,
                rows=sweep.rows,
                tombstones=len(forgotten),
            )
            await self._log.publish(proof)
        await self._projection.swept(sweep)
        log.info("erased", job_id=str(sweep.job_id), blobs=blobs, rows=sweep.rows)


def _prefixes(sweep: Sweep) -> tuple[str, ...]:
    try:
        return layout.job_prefixes(sweep.owner, sweep.job_id)
    except ValueError:
        return ()  # an owner that no blob can be named after

"""Making the counts what the rows say: jobs taken without Postgres are counted, those that never came given back."""

import asyncio
from datetime import timedelta

import structlog

from gateway.database import StoreUnavailable
from gateway.walls.store import WallsStore

log = structlog.get_logger(__name__)

CONFIRM_EVERY = timedelta(seconds=2)
"""A counted job whose row was not seen is looked up each time its owner sends another."""

RECOUNT_EVERY = timedelta(minutes=5)

SINCE = timedelta(hours=25)
"""A job whose row is later than this stays uncounted."""

LAPSED = timedelta(hours=1)
"""An upload that takes longer is counted when its row is there."""

KEPT = timedelta(days=62)
"""Longer than a month and the days a row may be late."""


async def recount(store: WallsStore) -> None:
    """Do it once."""
    given_back, added = await store.recount(since=SINCE, lapsed=LAPSED, keep=KEPT)
    if given_back or added:
        log.info("jobs_recounted", given_back=given_back, added=added)


async def keep_counting(store: WallsStore) -> None:
    """Note every few seconds which rows have come, and recount every few minutes, until cancelled."""
    steps = RECOUNT_EVERY // CONFIRM_EVERY
    step = 0
    while True:
        try:
            if step % steps == 0:
                await recount(store)
            else:
                await store.confirm()
        except StoreUnavailable:
            log.warning("recount_put_off")
        except Exception:
            log.exception("recount_failed")
        step += 1
        await asyncio.sleep(CONFIRM_EVERY.total_seconds())

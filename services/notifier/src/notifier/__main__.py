"""Joins the notifier: settings, database, the handler on the bus, and the courier beside it."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from common.bus import BatchStage
from common.db.pool import open_pool
from common.events import JobCancelled, JobCompleted, JobFailed
from common.guard import guarded_connector
from common.service import Service, serve
from notifier.courier import Courier
from notifier.handler import Notify
from notifier.post import HttpSender
from notifier.secret import callback_secret
from notifier.settings import NotifierSettings
from notifier.store import Store


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the notifier needs."""
    settings = NotifierSettings()
    connector = guarded_connector(allow_private=settings.webhook_allow_private, limit=settings.slots)
    async with (
        open_pool(settings) as pool,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        store = Store(pool)
        courier = Courier(
            queue=store,
            sender=HttpSender(session=session, secret=callback_secret(settings), seconds=settings.webhook_seconds),
            slots=settings.slots,
            claim_seconds=settings.webhook_seconds + 15.0,
            poll_seconds=settings.webhook_poll_seconds,
            scale=settings.webhook_time_scale,
        )
        stage = BatchStage(
            events=(JobCompleted, JobFailed, JobCancelled), handler=Notify(register=store, wake=courier.wake)
        )
        yield Service(name="notifier", settings=settings, stages=[stage], background=[courier])


if __name__ == "__main__":
    if sys.argv[1:] == ["secret"]:
        print(callback_secret(NotifierSettings()))
    else:
        serve(build)

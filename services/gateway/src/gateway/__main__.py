"""The gateway: its parts opened and joined, served until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from aiohttp import web

from common import catalogue
from common.blobs.open import open_blobs
from common.bus.control import ControlLog
from common.bus.producer import Producer
from common.crypt import Crypt
from common.db.pool import open_pool
from common.events import Event, JobControl, Terminal
from common.logs import configure
from common.plugins.installed import installed
from common.settings import ProviderSettings
from gateway import openapi
from gateway.acceptance import Acceptance
from gateway.accepted import Accepted
from gateway.accesslog import AccessLog
from gateway.app import application
from gateway.audio import Audio
from gateway.batches.room import BatchesRoom
from gateway.batches.sources import Sources
from gateway.broker import Broker
from gateway.database import Database
from gateway.deferred import Deferred
from gateway.door import Door
from gateway.health import HealthApi
from gateway.heap import keep_freed, leave_alone
from gateway.identity.opened import open_door
from gateway.identity.room import Identity
from gateway.jobs import JobsApi
from gateway.live import Live
from gateway.lookup import Jobs
from gateway.privacy.room import Privacy
from gateway.problems import Handler
from gateway.progress import advance
from gateway.remote import Remote
from gateway.server import Runner
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.submit import Submit
from gateway.sweep import keep_sweeping
from gateway.transcripts import Transcripts
from gateway.uploads.room import uploads_room
from gateway.uploads.sweep import keep_sweeping as keep_sweeping_uploads
from gateway.walls.outside import outside
from gateway.walls.room import Walls
from gateway.watch import Watch
from gateway.webhooks import WebhooksApi

log = structlog.get_logger(__name__)

READ_BUFFER = 256 * 1024
"""Bytes of a body that aiohttp holds before it stops reading from the socket; twice this at most."""

SWEEP_EVERY = timedelta(hours=1)


@asynccontextmanager
async def gateway(settings: GatewaySettings, *, door: Door | None = None) -> AsyncIterator[str]:
    """Open everything the gateway needs, join it and serve; drained and closed in the reverse order.

    Parameters
    ----------
    door
        Who decides who comes in, in place of the one that knows keys, tokens and sessions.

    Yields
    ------
    str
        The address it serves at.
    """
    crypt = Crypt.of_file(settings.encryption_keys_file)
    accepted = Accepted()
    async with contextlib.AsyncExitStack() as opened:
        blobs = await opened.enter_async_context(open_blobs(settings))
        pool = await opened.enter_async_context(open_pool(settings))
        database = Database(pool, seconds=settings.store_seconds)
        store = Store(database)
        identity = Identity(database=database, crypt=crypt, settings=settings)
        opened.push_async_callback(identity.close)
        entrance = await opened.enter_async_context(
            open_door(
                settings,
                database=database,
                crypt=crypt,
                audit=identity.audit,
                ended=identity.ended,
                sessions=identity.sessions,
                accounts=identity.accounts,
            )
        )
        identity.sessions.when_ended(entrance.seen.forget)
        producer = Producer(settings.kafka, service="gateway")
        await producer.start()
        opened.push_async_callback(producer.stop)
        control = ControlLog(settings.kafka)
        opened.push_async_callback(control.stop)
        reading = await _in_background(opened, control.start())
        broker = Broker(settings.kafka, control_read=lambda: reading.done() and reading.exception() is None)
        opened.push_async_callback(broker.close)

        jobs = Jobs(store=store, accepted=accepted, control=control)
        health = HealthApi(broker=broker, blobs=blobs, database=database)
        jobs_api = JobsApi(jobs=jobs, store=store, producer=producer, settings=settings)
        webhooks = WebhooksApi(store=store, crypt=crypt, allow_private=settings.webhook_allow_private)
        engines = catalogue.configured(ProviderSettings())
        walls = Walls(database=database, settings=settings, engines=engines, audit=identity.audit)
        deferred = Deferred(
            database,
            backlog=settings.deferred_backlog,
            margin=timedelta(seconds=settings.deferred_margin_seconds),
            claim=timedelta(seconds=settings.batch_claim_seconds),
            every=timedelta(seconds=settings.batch_poll_seconds),
        )
        acceptance = Acceptance(
            deferred=deferred,
            producer=producer,
            control=control,
            store=store,
            accepted=accepted,
            engines=engines,
            settings=settings,
            gate=walls.gate,
            plugins=tuple(installed()),
        )
        remote = Remote(blobs=blobs, acceptance=acceptance, allow_private=settings.fetch_allow_private)
        submit = Submit(
            blobs=blobs, control=control, acceptance=acceptance, remote=remote, gate=walls.gate, settings=settings
        )
        uploads = uploads_room(blobs, acceptance, walls.gate, identity.callers, settings)
        batches = BatchesRoom(
            pool=pool,
            producer=producer,
            blobs=blobs,
            acceptance=acceptance,
            addresses=Sources(remote=remote, blobs=blobs, acceptance=acceptance),
            uploads=uploads.uploads,
            crypt=crypt,
            gate=walls.gate,
            settings=settings,
        )
        privacy = Privacy(
            database=database,
            store=store,
            blobs=blobs,
            crypt=crypt,
            audit=identity.audit,
            ended=identity.ended,
            not_let_in=entrance.seen.forget_owner,
            settings=settings,
        )
        live = Live(settings.kafka, seen=_told(partial(_keep_up, accepted, store), batches.see, deferred.see))
        handlers: dict[str, Handler] = {
            "submit_job": submit,
            "list_jobs": jobs_api.list,
            "get_job": jobs_api.get,
            "watch_job": Watch(jobs=jobs, live=live, settings=settings),
            "get_transcript": Transcripts(jobs=jobs, blobs=blobs),
            "get_audio": Audio(jobs=jobs, blobs=blobs),
            "cancel_job": jobs_api.cancel,
            "delete_job": jobs_api.delete,
            "add_webhook": webhooks.add,
            "list_webhooks": webhooks.list,
            "drop_webhook": webhooks.drop,
            "openapi": openapi.serve(),
            "alive": health.alive,
            "ready": health.ready,
            "metrics": health.metrics,
            **identity.handlers(entrance.tokens),
            **entrance.handlers,
            **uploads.handlers,
            **batches.handlers,
            **walls.handlers(),
            **privacy.handlers,
        }
        app = application(
            identity.consent.guarded(handlers),
            door or entrance.door,
            outside(settings, identity.callers),
            noted=identity.trail.add,
        )
        # An upload that was held has no row either until a batch takes it.
        orphans = timedelta(hours=max(settings.orphan_hours, settings.upload_hours * 1.1))
        for work in (
            live.run(),
            identity.run(),
            privacy.run(),
            walls.run(store=store, control=control, producer=producer),
            batches.run(),
            deferred.run(acceptance.let_go),
            keep_sweeping(blobs, store, older_than=orphans, every=SWEEP_EVERY),
            keep_sweeping_uploads(uploads.uploads, store.uploads_wanted, every=SWEEP_EVERY),
        ):
            await _in_background(opened, work)
        runner = Runner(
            app,
            idle_seconds=settings.idle_seconds,
            access_log_class=AccessLog,
            access_log=logging.getLogger("gateway.access"),
            handle_signals=False,
            read_bufsize=READ_BUFFER,
            shutdown_timeout=settings.drain_seconds,
        )
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        opened.callback(live.close)
        opened.callback(health.drain)
        yield site.name if settings.port else f"http://{settings.host}:{runner.addresses[0][1]}"


async def _in_background(opened: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    opened.push_async_callback(end)
    return task


def _told(*hearers: Callable[[Event], None]) -> Callable[[Event], None]:
    """What tells all of them of an event."""

    def tell(event: Event) -> None:
        for hear in hearers:
            hear(event)

    return tell


def _keep_up(accepted: Accepted, store: Store, event: Event) -> None:
    """Keep the jobs accepted here as they are, for answers while Postgres is away, and nothing of deleted ones."""
    if isinstance(event, JobControl) and event.action == "delete":
        store.forget(event.job_id)
    job = accepted.get(event.owner, event.job_id)
    if job is None:
        return
    if isinstance(event, Terminal) or (isinstance(event, JobControl) and event.action == "delete"):
        accepted.forget(event.job_id)  # Recorded, so the row is there from now on.
    else:
        accepted.add(event.owner, advance(job, event))


async def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        settings = GatewaySettings()
        configure("gateway", settings.log_level)
        keep_freed()
        async with gateway(settings) as url:
            leave_alone()
            log.info("serving", url=url)
            await stop.wait()
            log.info("draining")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

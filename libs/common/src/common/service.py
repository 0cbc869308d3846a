"""A service's life: logs, health, bus, background work, and the stop in the right order."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import structlog

from common import logs
from common.bus.producer import Producer
from common.bus.runtime import Bus
from common.bus.stage import BatchStage, EachStage
from common.health import serve_health
from common.leases import Leases
from common.settings import CommonSettings

log = structlog.get_logger(__name__)

Background = Callable[[], Awaitable[None]]


@dataclass(kw_only=True)
class Service:
    """What a service is made of; its resources are opened by whoever builds it.

    Parameters
    ----------
    name
        The service's name.
    settings
        Its settings.
    stages
        What the bus runs for it.
    background
        Work that runs beside the bus until the service stops; one that raises ends the process with an error.
    leases
        Needed when a stage is leased.
    producer
        The process's producer when the service publishes by itself too; it is then the builder's to start and stop.
    """

    name: str
    settings: CommonSettings
    stages: Sequence[EachStage | BatchStage] = ()
    background: list[Background] = field(default_factory=list)
    leases: Leases | None = None
    producer: Producer | None = None


Build = Callable[[], AbstractAsyncContextManager[Service]]


def serve(build: Build) -> None:
    """Run a service until SIGTERM or SIGINT, then drain and exit; 0 on request, 1 when its background work broke."""
    sys.exit(asyncio.run(run(build)))


async def run(build: Build, *, stop: asyncio.Event | None = None) -> int:
    """Run a service until a signal, until ``stop`` is set, or until its background work breaks; the exit status."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build() as service:
        logs.configure(service.name, service.settings.log_level)
        return await _run(service, stop)


def calm_collector() -> None:
    """Look for cyclic garbage less often, and no more among what is there now; saves a tenth of an event's CPU.

    Modules and models live as long as the process. The records, futures and events of a few batches are some tens of
    thousands of objects and hold no cycles: looking at them every 700 finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _run(service: Service, stop: asyncio.Event) -> int:
    bus = Bus(service.name, service.settings, service.stages, leases=service.leases, producer=service.producer)
    health = await serve_health(
        service.settings.health_host,
        service.settings.health_port,
        stuck=bus.stuck,
        unready=lambda: ["stopping"] if stop.is_set() else bus.ready(),
    )
    background = [asyncio.ensure_future(work()) for work in service.background]
    starting = asyncio.create_task(bus.start())
    stopping = asyncio.create_task(stop.wait())
    broken = asyncio.create_task(bus.broken())
    watched: set[asyncio.Future[Any]] = {*background, starting, broken}
    status = 0
    try:
        while not stop.is_set():
            done, _ = await asyncio.wait({stopping, *watched}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & watched:
                watched.discard(task)
                if error := task.exception():
                    log.critical("the service cannot go on", exc_info=error)
                    status = 1
                    stop.set()
            if starting in done and status == 0:
                calm_collector()
                log.info("started", service=service.name)
        log.info("stopping", service=service.name)
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await bus.stop()
        for task in (stopping, broken, *background):
            task.cancel()
        await asyncio.gather(stopping, broken, *background, return_exceptions=True)
        await health.cleanup()
        log.info("stopped", service=service.name)
    return status

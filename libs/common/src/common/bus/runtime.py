"""The bus of one process: its stages joined to Kafka, started and stopped in the right order."""

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from common.bus.batch import Batches, topics_of
from common.bus.control import ControlLog
from common.bus.crew import Crew, close, dismiss
from common.bus.each import Each
from common.bus.failures import Failures
from common.bus.producer import Producer
from common.bus.retry import Retries
from common.bus.solitude import Solitude
from common.bus.stage import BatchStage, EachStage
from common.bus.subscription import COMMIT_SECONDS, Subscription
from common.bus.watchdog import Watchdog
from common.leases import Leases
from common.metrics import HELD, RUNNING
from common.settings import CommonSettings

log = structlog.get_logger(__name__)

_BACKOFF = (0.2, 5.0)


class Bus:
    """Consumes for the stages of one service.

    Parameters
    ----------
    service
        The service's name: of its groups and of its retry topics.
    settings
        Where Kafka is, and how retries and the stop are timed.
    stages
        What to run.
    leases
        Needed when a stage is leased.
    producer
        The process's producer when it has one already; the bus then neither starts nor stops it.
    """

    def __init__(
        self,
        service: str,
        settings: CommonSettings,
        stages: Sequence[EachStage | BatchStage],
        *,
        leases: Leases | None = None,
        producer: Producer | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._crew = Crew()
        self._own_producer = producer is None
        self.producer = producer or Producer(settings.kafka, service=service)
        self.control = ControlLog(settings.kafka, self._crew)
        failures = Failures(service, self.producer, delays=settings.retry_delays, limit=settings.retry_limit)
        solitude = Solitude()
        self._each = [
            Each(
                stage,
                service,
                self._crew,
                producer=self.producer,
                control=self.control,
                failures=failures,
                leases=leases,
                lease_ttl=settings.lease_ttl,
                solitude=solitude,
            )
            for stage in stages
            if isinstance(stage, EachStage)
        ]
        self._batches = [
            Batches(stage, service, self._crew, producer=self.producer, failures=failures)
            for stage in stages
            if isinstance(stage, BatchStage)
        ]
        origins = [topic for stage in stages if isinstance(stage, EachStage) for topic in topics_of(stage.event)]
        self._retries = (
            Retries(service, self.producer, failures, self._crew, origins=origins, longest=max(settings.retry_delays))
            if self._each
            else None
        )
        self._broker: KafkaBroker | None = None
        self._committing: asyncio.Task[None] | None = None
        self._draining = False
        self._watchdog = Watchdog(self.subscriptions, self._crew)

    @property
    def subscriptions(self) -> list[Subscription]:
        """Every subscription of this process."""
        found = [subscription for each in self._each for subscription in each.subscriptions]
        found += [batches.subscription for batches in self._batches]
        return [*found, self._retries.subscription] if self._retries else found

    async def start(self) -> None:
        """Connect and begin to work; waits as long as Kafka is away."""
        if self._own_producer:
            await self.producer.start()
        if not self._each and not self._batches:
            return
        if self._each:
            await self.control.start()
        for each in self._each:
            each.start()
        for batches in self._batches:
            batches.start()
        if self._retries:
            self._retries.start()
        self._committing = self._crew.start(self._commit())
        await self._connect()
        self._watchdog.start()

    async def stop(self) -> None:
        """Take nothing more, finish what runs, commit, flush, leave the groups; in this order."""
        self._draining = True
        for subscription in self.subscriptions:
            subscription.close()
        if self._retries:
            await self._retries.stop()
        seconds = self._settings.drain_seconds
        parts: list[Each | Batches] = [*self._each, *self._batches]
        finished = await asyncio.gather(*(part.drain(seconds) for part in parts))
        if not all(finished):
            log.warning("stopped before everything was finished; it will be delivered again", service=self._service)
        await self._watchdog.stop()
        await dismiss(self._committing)
        for subscription in self.subscriptions:
            await subscription.commit()
        if self._broker is not None:
            await close("the consumers", self._broker.stop())
        if self._each:
            await self.control.stop()
        if self._own_producer:
            await self.producer.stop()

    def ready(self) -> list[str]:
        """Why this process does not consume now; empty when it does."""
        reasons = []
        if self._draining:
            reasons.append("draining")
        if not self.producer.connected:
            reasons.append("kafka was not reached yet")
        reasons += [f"{one.group} has no assignment yet" for one in self.subscriptions if not one.assigned]
        return reasons

    def stuck(self) -> list[str]:
        """Why this process had better be started anew; empty when it need not."""
        if self._crew.error is not None:
            return [f"the bus is broken: {self._crew.error!r}"]
        return [] if self._draining else self._watchdog.stuck()

    async def broken(self) -> None:
        """Wait until the bus itself has failed, and raise why; the process had better end then."""
        await self._crew.broken()

    async def _connect(self) -> None:
        wait = _BACKOFF[0]
        while True:
            # A broker whose start failed half-way is not started twice: a new one is built each time. It is known
            # from its first moment: a stop that comes meanwhile finishes and commits what was already taken.
            self._broker = KafkaBroker(
                self._settings.kafka.split(","),  # FastStream takes a text for one server
                client_id=f"scribewire-{self._service}",
                apply_types=False,
                consumer_only=True,
                metadata_max_age_ms=30_000,
                graceful_timeout=1.0,
                logger=None,
            )
            for subscription in self.subscriptions:
                subscription.declare(self._broker)
            try:
                await self._broker.start()
            except KafkaError as error:
                await close("the consumers", self._broker.stop())
                log.warning("kafka is not reachable, will try again", service=self._service, error=repr(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, _BACKOFF[1])
            else:
                return

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            self._watchdog.tick()
            for subscription in self.subscriptions:
                await subscription.commit()
                HELD.labels(subscription.group).set(subscription.held)
            for each in self._each:
                each.worker.count()
                RUNNING.labels(self._service, each.kind).set(each.window.running)
                if each.before is not None:
                    RUNNING.labels(self._service, f"{each.kind}.before").set(each.before.window.running)

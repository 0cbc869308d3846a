"""Mode `each`: a stage's topics, their windows and their worker, joined."""

import asyncio
from functools import partial
from typing import Any

from common.bus.batch import topics_of
from common.bus.beforehand import Beforehand
from common.bus.crew import Crew
from common.bus.failures import Failures
from common.bus.producer import Producer
from common.bus.solitude import Solitude
from common.bus.stage import Control, EachStage
from common.bus.subscription import Subscription
from common.bus.window import Window
from common.bus.work import Delivery, Worker
from common.leases import Leases


class Each:
    """One `EachStage` at work: a group per topic, one window over all of them."""

    def __init__(
        self,
        stage: EachStage,
        service: str,
        crew: Crew,
        *,
        producer: Producer,
        control: Control,
        failures: Failures,
        leases: Leases | None,
        lease_ttl: float,
        solitude: Solitude,
    ) -> None:
        self.kind = stage.event.type
        self.window: Window[Delivery] = Window(stage.concurrency, crew, self._made_room)
        self.before = None if stage.before is None else Beforehand(stage.before, crew)
        self.worker = Worker(
            stage,
            service,
            producer=producer,
            control=control,
            failures=failures,
            leases=leases,
            lease_ttl=lease_ttl,
            solitude=solitude,
            crew=crew,
            again=self.window.put_first,
            aside=self._put_aside,
        )
        self.subscriptions = [
            self._subscription(topic, service, crew, bulk=topic.endswith(".bulk")) for topic in topics_of(stage.event)
        ]

    def start(self) -> None:
        """Start the lanes."""
        self.worker.start()
        self.window.start(self.worker.run)
        if self.before is not None:
            self.before.start(self.worker.prepare)

    async def drain(self, seconds: float) -> bool:
        """Finish what runs, for at most ``seconds``; whether all did."""
        windows: list[Window[Any]] = [self.window, *([] if self.before is None else [self.before.window])]
        finished = all(await asyncio.gather(*(window.drain(seconds) for window in windows)))
        await self.worker.stop(1.0 if not finished else seconds)
        return finished

    def _subscription(self, topic: str, service: str, crew: Crew, *, bulk: bool) -> Subscription:
        return Subscription(
            (topic,),
            f"{service}.{topic}",
            crew,
            sink=self._put,
            room=partial(self.window.room, bulk=bulk),
            take=partial(Delivery, bulk=bulk),
        )

    def _put(self, deliveries: list[Delivery]) -> None:
        self.window.put(self.worker.admit(deliveries))

    def _put_aside(self, delivery: Delivery, owner: str) -> None:
        if self.before is not None:
            self.before.put(delivery, owner)

    def _made_room(self) -> None:
        for subscription in self.subscriptions:
            subscription.made_room()

"""When a process had better be started anew."""

import asyncio
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from common.bus.crew import Crew
from common.bus.subscription import Subscription
from common.bus.watchdog import Watchdog
from support.waiting import eventually

PARTITION = TopicPartition("topic", 0)


class FakeConsumer:
    """Says of one partition where it ends and where it is read."""

    def __init__(self) -> None:
        self.end, self.at, self.away = 10, 0, False

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    async def end_offsets(self, _: object) -> dict[TopicPartition, int]:
        if self.away:
            raise KafkaConnectionError
        return {PARTITION: self.end}

    async def position(self, _: object) -> int:
        return self.at


class FakeSubscription:
    """A subscription of that consumer."""

    def __init__(self) -> None:
        self.consumer, self.group, self.held, self.full = FakeConsumer(), "group", 0, False
        self.progress: dict[Any, Any] = {}


async def watched(subscription: FakeSubscription) -> Watchdog:
    crew = Crew()
    watchdog = Watchdog([cast("Subscription", subscription)], crew, look_seconds=0.01, stuck_seconds=0.2)
    watchdog.start()
    return watchdog


async def stays_well(watchdog: Watchdog, seconds: float = 0.5) -> None:
    for _ in range(int(seconds / 0.02)):
        watchdog.tick()
        assert not watchdog.stuck()
        await asyncio.sleep(0.02)


async def test_records_that_wait_while_nothing_moves_are_a_standstill() -> None:
    subscription = FakeSubscription()
    watchdog = await watched(subscription)

    def stuck() -> bool:
        watchdog.tick()
        return any("group has not moved" in reason for reason in watchdog.stuck())

    await eventually(stuck, 5)
    subscription.consumer.at = 5
    await eventually(lambda: not stuck(), 5)
    await watchdog.stop()


async def test_no_lag_a_full_window_and_a_broker_that_is_away_are_none() -> None:
    for change in ({"end": 0}, {"away": True}):
        subscription = FakeSubscription()
        vars(subscription.consumer).update(change)
        watchdog = await watched(subscription)
        await stays_well(watchdog)
        await watchdog.stop()
    subscription = FakeSubscription()
    subscription.full = True
    watchdog = await watched(subscription)
    await stays_well(watchdog)
    await watchdog.stop()


async def test_commits_that_stand_still_are_noticed() -> None:
    subscription = FakeSubscription()
    subscription.consumer.end = 0
    watchdog = await watched(subscription)
    await eventually(lambda: watchdog.stuck() == ["commits stand still"], 5)
    await watchdog.stop()

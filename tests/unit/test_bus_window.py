"""The lanes of a window: how many run, who goes first, what waits."""

import asyncio
from dataclasses import dataclass, field

import pytest

from common.bus.crew import Crew
from common.bus.window import QUEUED, Window


@dataclass
class Item:
    """Runs until it is let go."""

    bulk: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: bool = False


async def hold(item: Item) -> None:
    item.started = True
    await item.go.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("slots", "bulk"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (20, 15)])
async def test_bulk_leaves_a_quarter_and_interactive_takes_all(slots: int, bulk: int) -> None:
    window: Window[Item] = Window(slots, Crew(), lambda: None)
    window.start(hold)
    many = [Item(bulk=True) for _ in range(slots * 2)]
    window.put(many)
    await settle()
    assert sum(item.started for item in many) == bulk == window.running
    urgent = [Item() for _ in range(slots * 2)]
    window.put(urgent)
    await settle()
    assert sum(item.started for item in urgent) == slots - bulk
    for item in many:
        item.go.set()
    await settle()
    assert sum(item.started for item in urgent) == slots, "freed bulk slots go to interactive"
    assert sum(item.started for item in many) == bulk
    for item in urgent:
        item.go.set()
    assert await window.drain(5)


async def test_drain_finishes_what_runs_and_starts_nothing() -> None:
    window: Window[Item] = Window(2, Crew(), lambda: None)
    window.start(hold)
    items = [Item() for _ in range(5)]
    window.put(items)
    await settle()
    draining = asyncio.create_task(window.drain(5))
    await settle()
    window.put([Item()])
    for item in items[:2]:
        item.go.set()
    assert await draining
    assert [item.started for item in items] == [True, True, False, False, False]


async def test_drain_cancels_what_takes_too_long() -> None:
    cancelled = asyncio.Event()

    async def stubborn(_: Item) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    window: Window[Item] = Window(1, Crew(), lambda: None)
    window.start(stubborn)
    window.put([Item()])
    await settle()
    assert not await window.drain(0.05)
    assert cancelled.is_set()


async def test_says_when_there_is_room_again() -> None:
    said = asyncio.Event()
    window: Window[Item] = Window(1, Crew(), said.set)
    items = [Item() for _ in range(QUEUED)]
    window.put(items)
    assert not window.room(bulk=False)
    assert window.room(bulk=True), "a full lane does not close the other"
    for item in items:
        item.go.set()
    window.start(hold)
    await asyncio.wait_for(said.wait(), 5)
    assert window.room(bulk=False)
    await window.drain(5)


async def test_handlers_that_never_wait_leave_turns_to_others() -> None:
    others = 0

    async def instant(item: Item) -> None:
        item.started = True

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    window: Window[Item] = Window(1, Crew(), lambda: None)
    window.start(instant)
    beside = asyncio.create_task(other())
    items = [Item() for _ in range(QUEUED)]
    window.put(items)
    while not items[-1].started:
        await asyncio.sleep(0)
    assert others >= QUEUED // 100
    beside.cancel()
    await window.drain(5)

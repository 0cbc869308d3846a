"""Running one event alone in a process."""

import asyncio

from common.bus.solitude import Solitude


async def test_one_alone_waits_for_the_others_and_holds_new_ones() -> None:
    solitude, log = Solitude(), list[str]()
    busy = asyncio.Event()

    async def handler(name: str, until: asyncio.Event | None = None) -> None:
        if solitude.closed:
            await solitude.opened()
        solitude.enter()
        log.append(f"{name} in")
        if until is not None:
            await until.wait()
        log.append(f"{name} out")
        solitude.leave()

    async def poison(name: str) -> None:
        async with solitude.alone():
            log.append(f"{name} alone")
            await asyncio.sleep(0)
            log.append(f"{name} done")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(handler("a", busy))
        await asyncio.sleep(0)
        group.create_task(poison("p"))
        group.create_task(poison("q"))
        await asyncio.sleep(0)
        group.create_task(handler("b"))
        await asyncio.sleep(0.01)
        assert log == ["a in"], "b waits outside, p waits for a"
        busy.set()
    assert log[:3] == ["a in", "a out", "p alone"]
    for name in ("p", "q"):
        assert log.index(f"{name} done") == log.index(f"{name} alone") + 1, "nothing ran beside it"
    assert "b out" in log
    assert not solitude.closed


async def test_a_cancelled_wait_opens_again() -> None:
    solitude = Solitude()
    solitude.enter()

    async def alone() -> None:
        async with solitude.alone():
            raise AssertionError("a handler still runs")

    waiting = asyncio.create_task(alone())
    await asyncio.sleep(0)
    assert solitude.closed
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not solitude.closed

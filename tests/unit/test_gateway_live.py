"""A slow client costs no memory: what it did not look at yet is replaced by what came after."""

import asyncio
from uuid import uuid4

from common.events import Event, JobControl, StageProgress
from gateway.live import Listener, Live

JOB = uuid4()


def progress(stage: str, fraction: float) -> StageProgress:
    return StageProgress(job_id=JOB, owner="operator", stage=stage, fraction=fraction)


async def test_the_latest_of_each_sort_is_kept() -> None:
    listener = Listener()
    for number in range(10_000):
        listener.put(progress("transcoder", number / 10_000))
        listener.put(progress("transcriber", number / 10_000))
    assert [(e.stage, e.fraction) for e in await listener.take(1) if isinstance(e, StageProgress)] == [
        ("transcoder", 0.9999),
        ("transcriber", 0.9999),
    ]
    assert await listener.take(0.01) == []


async def test_an_event_that_comes_while_waiting_ends_the_wait() -> None:
    listener = Listener()
    event = JobControl(job_id=JOB, owner="operator", action="cancel")
    asyncio.get_running_loop().call_later(0.01, listener.put, event)
    async with asyncio.timeout(5):
        assert await listener.take(60) == [event]


async def test_a_closing_gateway_wakes_who_waits() -> None:
    heard: list[Event] = []
    live = Live("127.0.0.1:9", seen=heard.append)
    with live.listen(JOB) as listener:
        asyncio.get_running_loop().call_soon(live.close)
        async with asyncio.timeout(5):
            assert await listener.take(60) == []
    assert live.closed

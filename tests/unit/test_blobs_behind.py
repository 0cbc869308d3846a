"""File work that goes on while its caller does something else."""

import asyncio
import threading

import pytest

from common.blobs.threads import Behind


async def test_the_caller_goes_on_and_the_next_work_waits_for_the_last() -> None:
    done: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        assert go.wait(10)
        done.append(number)

    async with Behind() as behind:
        await behind.begin(work, 1)
        assert done == []
        second = asyncio.create_task(behind.begin(work, 2))
        go.set()
        await second
        await behind.done()
        assert done == [1, 2]


async def test_what_the_work_raised_is_raised_by_who_waits_for_it() -> None:
    def broken() -> None:
        raise OSError("no")

    async with Behind() as behind:
        await behind.begin(broken)
        with pytest.raises(OSError, match="no"):
            await behind.done()


async def test_leaving_waits_for_the_thread_and_raises_what_ended_the_block() -> None:
    ended: list[str] = []
    go = threading.Event()

    def work() -> None:
        go.wait(10)
        ended.append("thread")
        raise OSError("not told, the block ended otherwise")

    async def block() -> None:
        async with Behind() as behind:
            await behind.begin(work)
            raise ValueError("the block's own")

    leaving = asyncio.create_task(block())
    await asyncio.sleep(0)
    leaving.cancel()
    asyncio.get_running_loop().call_later(0.05, leaving.cancel)
    asyncio.get_running_loop().call_later(0.1, go.set)
    with pytest.raises((ValueError, asyncio.CancelledError)):
        await leaving
    assert ended == ["thread"]

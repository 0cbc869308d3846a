"""What every blob store promises of bytes that are gathered over many calls and processes before they are a blob."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from common.blobs import BlobBusy, BlobNotFound, Blobs, OtherSize, read_all

MIB = 1024 * 1024
NAME = "users/u/originals/j/upload"


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def size(blobs: Blobs, name: str = NAME) -> int | None:
    found = await blobs.gathered(name)
    return None if found is None else found.size


async def test_bytes_of_many_calls_become_one_blob(blobs: Blobs) -> None:
    assert await blobs.gathered(NAME) is None
    parts = [b"a" * 3, b"b" * (5 * MIB + 1), b"", b"c" * (MIB - 1), b"d" * 2, b"e" * (4 * MIB), b"f"]
    there = 0
    for part in parts:
        there = await blobs.gather(NAME, there, chunks(part[:7], part[7:]))
        assert await size(blobs) == there
        assert await blobs.stat(NAME) is None, "not a blob yet"
    assert [info async for info in blobs.list("")] == []
    await blobs.seal(NAME, there)
    assert await read_all(blobs, NAME) == b"".join(parts)
    await blobs.seal(NAME, there)
    assert await size(blobs) == there
    assert [info.name async for info in blobs.list("")] == [NAME]


async def test_many_tiny_calls_stay_in_order(blobs: Blobs) -> None:
    data = bytes(range(40))
    for at in range(len(data)):
        assert await blobs.gather(NAME, at, chunks(data[at : at + 1])) == at + 1
    await blobs.seal(NAME, len(data))
    assert await read_all(blobs, NAME) == data


async def test_what_came_before_a_break_is_kept(blobs: Blobs) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * (4 * MIB)
        yield b"y" * 10
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.gather(NAME, 0, breaks())
    assert await size(blobs) == 4 * MIB + 10
    with pytest.raises(ConnectionResetError):
        await blobs.gather(NAME, 4 * MIB + 10, breaks())
    assert await size(blobs) == 8 * MIB + 20
    await blobs.seal(NAME, 8 * MIB + 20)
    once = b"x" * (4 * MIB) + b"y" * 10
    assert await read_all(blobs, NAME) == once + once


async def test_what_came_before_a_cancellation_is_kept(blobs: Blobs) -> None:
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * (2 * MIB)
        begun.set()
        await asyncio.Event().wait()

    gathering = asyncio.create_task(blobs.gather(NAME, 0, stalls()))
    await asyncio.wait_for(begun.wait(), 10)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert await size(blobs) == 2 * MIB
    assert await blobs.gather(NAME, 2 * MIB, chunks(b"z")) == 2 * MIB + 1


@pytest.mark.parametrize("start", [0, 2, 4, 10 * MIB])
async def test_another_offset_takes_nothing_and_says_what_there_is(blobs: Blobs, start: int) -> None:
    await blobs.gather(NAME, 0, chunks(b"abc"))
    with pytest.raises(OtherSize) as refused:
        await blobs.gather(NAME, start, chunks(b"d"))
    assert refused.value.size == 3
    with pytest.raises(OtherSize):
        await blobs.seal(NAME, start)
    await blobs.seal(NAME, 3)
    assert await read_all(blobs, NAME) == b"abc"


async def test_of_many_at_once_one_wins_and_nobody_mixes_bytes(blobs: Blobs) -> None:
    bodies = [bytes([65 + i]) * (5 * MIB + i) for i in range(5)]
    results = await asyncio.gather(
        *(blobs.gather(NAME, 0, chunks(body[:MIB], body[MIB:])) for body in bodies), return_exceptions=True
    )
    assert all(isinstance(result, int | BlobBusy | OtherSize) for result in results), results
    there = await size(blobs) or 0
    won = [body for body, result in zip(bodies, results, strict=True) if isinstance(result, int)]
    assert len(won) <= 1
    assert not won or len(won[0]) == there
    await blobs.seal(NAME, there)
    whole = await read_all(blobs, NAME)
    assert len(set(whole)) <= 1, "bytes of one of them only"


async def test_who_comes_while_another_is_at_it_spoils_nothing(blobs: Blobs) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"1" * (4 * MIB)
        begun.set()
        await go_on.wait()
        yield b"2" * (4 * MIB)

    first = asyncio.create_task(blobs.gather(NAME, 0, slow()))
    await asyncio.wait_for(begun.wait(), 10)
    there = await size(blobs) or 0
    try:
        second = await blobs.gather(NAME, there, chunks(b"3" * (2 * MIB)))
    except BlobBusy:
        second = 0
    go_on.set()
    if second:
        with pytest.raises(BlobBusy):
            await first
        expected = b"1" * there + b"3" * (2 * MIB)
    else:
        assert await first == 8 * MIB
        expected = b"1" * (4 * MIB) + b"2" * (4 * MIB)
    await blobs.seal(NAME, len(expected))
    assert await read_all(blobs, NAME) == expected


async def test_sealed_it_takes_no_more(blobs: Blobs) -> None:
    await blobs.gather(NAME, 0, chunks(b"abc"))
    await blobs.seal(NAME, 3)
    for start in (0, 3):
        with pytest.raises(OtherSize) as refused:
            await blobs.gather(NAME, start, chunks(b"d"))
        assert refused.value.size == 3
    assert await read_all(blobs, NAME) == b"abc"
    with pytest.raises(OtherSize):
        await blobs.seal(NAME, 4)


async def test_sealing_twice_at_once(blobs: Blobs) -> None:
    await blobs.gather(NAME, 0, chunks(b"abc"))
    results = await asyncio.gather(*(blobs.seal(NAME, 3) for _ in range(3)), return_exceptions=True)
    assert all(result is None or isinstance(result, BlobBusy) for result in results), results
    await blobs.seal(NAME, 3)
    assert await read_all(blobs, NAME) == b"abc"


async def test_an_empty_one(blobs: Blobs) -> None:
    with pytest.raises(BlobNotFound):
        await blobs.seal(NAME, 0)
    assert await blobs.gather(NAME, 0, chunks()) == 0
    assert await size(blobs) == 0
    await blobs.seal(NAME, 0)
    assert await read_all(blobs, NAME) == b""


async def test_removing_takes_what_is_gathered_as_well(blobs: Blobs) -> None:
    other = "users/u/originals/k/upload"
    await blobs.gather(NAME, 0, chunks(b"x" * (5 * MIB), b"y"))
    await blobs.gather(other, 0, chunks(b"z"))
    assert await blobs.remove("users/u/originals/j/") == 0
    assert await blobs.gathered(NAME) is None
    assert await size(blobs, other) == 1
    assert await blobs.gather(NAME, 0, chunks(b"again")) == 5
    await blobs.seal(NAME, 5)
    assert await read_all(blobs, NAME) == b"again"


async def test_removed_while_somebody_is_at_it(blobs: Blobs) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"1" * MIB
        begun.set()
        await go_on.wait()

    gathering = asyncio.create_task(blobs.gather(NAME, 0, slow()))
    await asyncio.wait_for(begun.wait(), 10)
    await blobs.remove("users/u/")
    go_on.set()
    await asyncio.gather(gathering, return_exceptions=True)
    assert [info async for info in blobs.list("")] == []
    assert await blobs.stat(NAME) is None


@pytest.mark.parametrize("name", ["", "../a", ".gathering/x", "a/.b", "a\0b"])
async def test_bad_names_are_refused(blobs: Blobs, name: str) -> None:
    for call in (
        lambda: blobs.gather(name, 0, chunks(b"x")),
        lambda: blobs.gathered(name),
        lambda: blobs.seal(name, 1),
    ):
        with pytest.raises(ValueError):
            await call()

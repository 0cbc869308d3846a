"""What every blob store promises, over every one there is: memory, a folder, Azure (Azurite)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from common.blobs import BlobNotFound, Blobs, read_all

MIB = 1024 * 1024


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def names(blobs: Blobs, prefix: str = "") -> set[str]:
    return {info.name async for info in blobs.list(prefix)}


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 20_000], ids=["empty", "one", "5 MB"])
async def test_reads_what_was_written(blobs: Blobs, data: bytes) -> None:
    assert await blobs.write("users/u/a", data) is True
    assert await blobs.write("users/u/b", chunks(data[:7], data[7:], b"")) is True
    for name in ("users/u/a", "users/u/b"):
        assert await read_all(blobs, name) == data
        info = await blobs.stat(name)
        assert info is not None
        assert (info.name, info.size) == (name, len(data))
        assert info.modified.utcoffset() is not None


async def test_reads_in_small_chunks_from_an_offset(blobs: Blobs) -> None:
    data = b"".join(bytes([i]) * MIB for i in range(6))
    await blobs.write("a", data)
    assert all(len(chunk) <= MIB for chunk in [chunk async for chunk in blobs.read("a")])
    for start in (0, 1, MIB - 1, MIB, 4 * MIB + 3, len(data) - 1, len(data), len(data) + 5):
        assert b"".join([chunk async for chunk in blobs.read("a", start)]) == data[start:]
    with pytest.raises(ValueError):
        await anext(aiter(blobs.read("a", -1)))


async def test_the_first_write_stays(blobs: Blobs) -> None:
    assert await blobs.write("a/b", b"first") is True
    assert await blobs.write("a/b", b"second") is False
    assert await blobs.write("a/b", chunks(b"third")) is False
    assert await blobs.write(lambda: "a/b", chunks(b"fourth")) is False
    assert await read_all(blobs, "a/b") == b"first"
    assert await names(blobs) == {"a/b"}


async def test_of_many_writers_at_once_one_wins(blobs: Blobs) -> None:
    bodies = [bytes([65 + i]) * (3 * MIB) for i in range(6)]
    won = await asyncio.gather(
        *(blobs.write("a", body) for body in bodies[:3]),
        *(blobs.write("a", chunks(body[:MIB], body[MIB:])) for body in bodies[3:]),
    )
    assert sum(won) == 1
    assert await read_all(blobs, "a") == bodies[won.index(True)]


async def test_a_name_made_of_the_bytes(blobs: Blobs) -> None:
    digest = hashlib.sha256()
    asked = []

    async def hashed() -> AsyncIterator[bytes]:
        for part in (b"one", b"two", b"x" * 5 * MIB):
            digest.update(part)
            yield part

    def name() -> str:
        asked.append(digest.hexdigest())
        return f"originals/{digest.hexdigest()}"

    assert await blobs.write(name, hashed()) is True
    assert asked == [hashlib.sha256(b"onetwo" + b"x" * 5 * MIB).hexdigest()], "asked once, at the end"
    assert await names(blobs) == {f"originals/{asked[0]}"}
    assert (await read_all(blobs, f"originals/{asked[0]}"))[:6] == b"onetwo"
    assert await blobs.write(lambda: "whole", b"bytes") is True
    assert await read_all(blobs, "whole") == b"bytes"


@pytest.mark.parametrize("named", [False, True])
async def test_nothing_is_left_of_a_broken_stream(blobs: Blobs, named: bool) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 5 * MIB
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await blobs.write((lambda: "a") if named else "a", breaks())
    assert await names(blobs) == set()
    assert await blobs.stat("a") is None
    assert await blobs.write("a", b"later") is True


async def test_nothing_is_left_when_the_name_is_refused(blobs: Blobs) -> None:
    def name() -> str:
        raise LookupError("no such name")

    with pytest.raises(LookupError):
        await blobs.write(name, chunks(b"x"))
    with pytest.raises(ValueError):
        await blobs.write(lambda: "../x", chunks(b"x"))
    assert await names(blobs) == set()


@pytest.mark.parametrize("named", [False, True])
async def test_nothing_is_left_of_a_cancelled_write(blobs: Blobs, named: bool) -> None:
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x" * 5 * MIB
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(blobs.write((lambda: "a") if named else "a", stalls()))
    await asyncio.wait_for(begun.wait(), 10)
    assert await blobs.stat("a") is None, "a blob under way is not visible"
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await names(blobs) == set()
    assert await blobs.write("a", b"later") is True


async def test_lists_by_prefix(blobs: Blobs) -> None:
    for name in ("users/u/1/a", "users/u/1/b", "users/u/10/a", "users/v/1/a", "top"):
        await blobs.write(name, name.encode())
    assert await names(blobs) == {"users/u/1/a", "users/u/1/b", "users/u/10/a", "users/v/1/a", "top"}
    assert await names(blobs, "users/u/1/") == {"users/u/1/a", "users/u/1/b"}
    assert await names(blobs, "users/u/1") == {"users/u/1/a", "users/u/1/b", "users/u/10/a"}
    assert await names(blobs, "users/u/1/a/") == set()
    assert await names(blobs, "none/") == set()
    assert {info.size async for info in blobs.list("top")} == {3}


async def test_removes_by_prefix_and_again(blobs: Blobs) -> None:
    for name in ("users/u/1/a", "users/u/1/deep/b", "users/u/10/a"):
        await blobs.write(name, b"x")
    assert await blobs.remove("users/u/1/") == 2
    assert await blobs.remove("users/u/1/") == 0
    assert await names(blobs) == {"users/u/10/a"}
    assert await blobs.stat("users/u/1/a") is None
    assert await blobs.write("users/u/1/a", b"again") is True
    with pytest.raises(ValueError):
        await blobs.remove("")


async def test_writing_and_removing_at_once_loses_no_later_write(blobs: Blobs) -> None:
    async def write(i: int) -> None:
        assert await blobs.write(f"j/{i}/deep/a", b"x")

    async def remove() -> None:
        for _ in range(5):
            await blobs.remove("j/")

    await asyncio.gather(remove(), *(write(i) for i in range(40)))
    assert await blobs.write("j/last", b"x")
    assert "j/last" in await names(blobs, "j/")


async def test_says_what_is_not_there(blobs: Blobs) -> None:
    await blobs.write("a", b"x")
    assert await blobs.stat("b") is None
    for absent in ("b", "b/c", "a/b"):
        with pytest.raises(BlobNotFound):
            await read_all(blobs, absent)
        with pytest.raises(BlobNotFound):
            async with blobs.local(absent):
                pass


async def test_a_local_file(blobs: Blobs) -> None:
    data = bytes(range(256)) * 10_000
    await blobs.write("media", data)
    async with blobs.local("media") as path:
        with path.open("rb") as file:
            file.seek(1000)
            assert file.read() == data[1000:]


@pytest.mark.parametrize(
    "name",
    ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".incoming/x", ".leases/x", "a/.b", "a\0b",
     "a\\b", "x" * 256, "a/" * 600 + "a", "\udcff"],
)  # fmt: skip
async def test_bad_names_are_refused(blobs: Blobs, name: str) -> None:
    for call in (
        lambda: blobs.write(name, b"x"),
        lambda: blobs.write(lambda: name, b"x"),
        lambda: blobs.stat(name),
        lambda: read_all(blobs, name),
    ):
        with pytest.raises(ValueError):
            await call()


async def test_unicode_names(blobs: Blobs) -> None:
    name = "users/ü/日本 a+b%20c"
    assert await blobs.write(name, b"x")
    assert await read_all(blobs, name) == b"x"
    assert await names(blobs, "users/ü/") == {name}
    assert await blobs.remove("users/ü/日") == 1

"""The proxy of the fault tests does what it claims."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from support.faulty_proxy import FaultyProxy, Speaks, faulty_proxy
from support.listening import listening

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxied(serve: Serve = echo, speaks: Speaks = "postgres") -> AsyncIterator[FaultyProxy]:
    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with faulty_proxy(address, speaks=speaks) as (proxy, _):
            yield proxy
    finally:
        server.close()


class Caller:
    """A client of the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, said: bytes, *, seconds: float = 5.0) -> bytes:
        self.writer.write(said)
        async with asyncio.timeout(seconds):
            return await self.reader.readexactly(len(said))


async def caller(proxy: FaultyProxy) -> Caller:
    return Caller(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def test_without_a_fault_all_bytes_pass() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        data = bytes(range(256)) * 4000
        assert await one.ask(data) == data
        assert not proxy.hits


async def test_latency_delays_answers_in_order_and_not_each_after_the_other() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        await proxy.inject("latency", seconds=0.3)
        began = time.monotonic()
        for number in range(5):
            one.writer.write(bytes([number]))
            await asyncio.sleep(0.02)
        assert await one.ask(b"x") == b"\x00"
        assert await one.reader.readexactly(5) == b"\x01\x02\x03\x04x"
        assert 0.3 <= time.monotonic() - began < 1.0
        assert proxy.hits["latency"] >= 1


async def test_healing_lets_go_of_what_was_delayed() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        await proxy.inject("latency", seconds=60)
        asked = asyncio.create_task(one.ask(b"x"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        await proxy.heal()
        assert await asked == b"x"


async def test_reset_cuts_with_rst_and_after_it_all_is_well() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        await one.ask(b"x")
        await proxy.inject("reset")
        with pytest.raises(ConnectionResetError):  # an end in good order would give b""
            await asyncio.wait_for(one.reader.read(1), 20)
        assert proxy.hits["reset"] >= 1
        await proxy.heal()
        assert await (await caller(proxy)).ask(b"x") == b"x"


async def test_slicing_lets_every_byte_travel_alone() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        await proxy.inject("slicing", rate=20)
        began = time.monotonic()
        one.writer.write(b"abcdef")
        assert await one.reader.read(100) == b"a"
        assert await one.reader.readexactly(5) == b"bcdef"
        assert time.monotonic() - began >= 5 / 20
        await proxy.heal()
        assert await one.ask(b"y" * 5000, seconds=2) == b"y" * 5000


async def test_half_open_swallows_and_tells_nobody_until_it_is_cut() -> None:
    async with proxied() as proxy:
        old = await caller(proxy)
        assert await old.ask(b"x") == b"x"
        await proxy.inject("half-open")
        new = await caller(proxy)
        for one in (old, new):
            with pytest.raises(TimeoutError):
                await one.ask(b"lost", seconds=0.2)
        assert proxy.hits["half-open"] == 2
        await proxy.heal()
        for one in (old, new):
            with pytest.raises(ConnectionResetError):
                await one.ask(b"x")
        assert await (await caller(proxy)).ask(b"x") == b"x"


async def test_half_open_hides_that_the_server_left() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.sleep(0.1)
        writer.close()

    async with proxied(leave) as proxy:
        one = await caller(proxy)
        one.writer.write(b"x")
        await asyncio.sleep(0.05)
        await proxy.inject("half-open")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await one.reader.read(1)


async def test_refuse_is_a_server_that_is_down() -> None:
    async with proxied() as proxy:
        one = await caller(proxy)
        await one.ask(b"x")
        await proxy.inject("refuse")
        with pytest.raises(ConnectionResetError):
            await one.ask(b"x")
        with pytest.raises(ConnectionRefusedError):
            await caller(proxy)
        await proxy.heal()
        assert await (await caller(proxy)).ask(b"x") == b"x"


async def test_duplicate_over_http_asks_the_server_twice_and_answers_once() -> None:
    seen: list[tuple[str, bytes]] = []

    async def count(request: web.Request) -> web.Response:
        seen.append((request.method, await request.read()))
        return web.Response(text=str(len(seen)))

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a" * 100
        yield b"b" * 70_000

    app = web.Application()
    app.router.add_route("*", "/", count)
    async with (
        listening(app) as url,
        faulty_proxy(url, speaks="http") as (proxy, there),
        aiohttp.ClientSession() as http,
    ):
        async with http.get(there) as answer:
            assert await answer.text() == "1"
        await proxy.inject("duplicate")
        async with http.put(there, data=b"body") as answer:
            assert await answer.text() == "3"
        async with http.post(there, data=chunks()) as answer:
            assert await answer.text() == "5"
        async with http.head(there) as answer:
            assert answer.status == 200
        await proxy.heal()
        async with http.get(there) as answer:
            assert await answer.text() == "8"
    whole = b"a" * 100 + b"b" * 70_000
    assert [body for _, body in seen] == [b"", b"body", b"body", whole, whole, b"", b"", b""]
    assert proxy.hits["duplicate"] == 3


async def test_duplicate_over_kafka_loses_the_answer_of_a_produced_batch() -> None:
    executed: list[int] = []

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(4):
            request = await reader.readexactly(int.from_bytes(size, "big"))
            executed.append(int.from_bytes(request[:2], "big"))
            writer.write((4).to_bytes(4, "big") + request[4:8])

    def request(kind: int, correlation: int) -> bytes:
        body = kind.to_bytes(2, "big") + (3).to_bytes(2, "big") + correlation.to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + body

    async with proxied(broker, "kafka") as proxy:
        one = await caller(proxy)
        await proxy.inject("duplicate")
        one.writer.write(request(3, 1))  # Metadata is not to be lost
        assert await one.reader.readexactly(8) == (4).to_bytes(4, "big") + (1).to_bytes(4, "big")
        one.writer.write(request(0, 2))
        with pytest.raises(ConnectionResetError):
            await one.reader.read(1)
        assert executed == [3, 0]
        assert proxy.hits["duplicate"] == 1


async def test_duplicate_with_postgres_loses_the_answer_to_a_commit() -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(b"C\x00\x00\x00\x0bCOMMIT\x00" if said == b"COMMIT" else b"SELECT 1")

    async with proxied(server) as proxy:
        await proxy.inject("duplicate")
        one = await caller(proxy)
        one.writer.write(b"SELECT")
        assert await one.reader.readexactly(8) == b"SELECT 1"
        one.writer.write(b"COMMIT")
        with pytest.raises(ConnectionResetError):
            await one.reader.read(1)

"""Forms and connections made to exhaust the gateway: each is refused, and all together cost little (S3)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from support.gateway import KEY, prepare
from support.gateway_process import gateway_process
from support.platform import fresh_database

KIB, MIB = 1024, 1024 * 1024
MOST_MEMORY = 64 * MIB
AT_ONCE = 20
FILE = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'


def field(name: str, value: bytes) -> bytes:
    return b'--frontier\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


ATTACKS = {
    "parts without end": repeat(field("keyterms", b"x") * 100, 200),
    "long fields without end": repeat(field("keyterms", b"x" * 15 * KIB), 1000),
    "a field without end": [field("language", b"")[:-2], *repeat(b"x" * 64 * KIB, 200)],
    "a head without end": [FILE, *repeat(b"X-More: again\r\n" * 1000, 500)],
    "a line of a head without end": [FILE, b"X-More: ", *repeat(b"x" * 64 * KIB, 200)],
    "junk before the first part": repeat(b"x" * 64 * KIB, 500),
    "line ends before the first part": repeat(b"\r\n" * 32 * KIB, 500),
    "boundaries but for a letter before the first part": repeat(b"\r\n--frontie" * 6000, 500),
}


class Server:
    """The attacked gateway: its process and address."""

    def __init__(self, process: psutil.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def attack(self, pieces: Iterator[bytes] | list[bytes], boundary: str = "frontier") -> bytes:
        """Send a chunked form until the gateway has had enough; the status it answered with."""
        reader, writer = await self.connect()
        writer.write(
            f"POST /v1/jobs HTTP/1.1\r\nHost: here\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n".encode()
        )
        answer = asyncio.ensure_future(reader.read(12))
        try:
            for piece in pieces:
                if answer.done():
                    break
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
            return (await asyncio.wait_for(answer, 60))[9:12]
        except ConnectionError:
            return (await answer)[9:12] if answer.done() else b"cut"
        finally:
            answer.cancel()
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        address = urlsplit(self.url)
        return await asyncio.open_connection(address.hostname, address.port)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Meanwhile others are served, and memory stays within its bound."""
        before = peak = self.process.memory_info().rss
        served = asyncio.Event()
        async with aiohttp.ClientSession(self.url, headers={"x-api-key": KEY}) as http:

            async def others() -> None:
                nonlocal peak
                while True:
                    async with http.get("/v1/jobs", timeout=aiohttp.ClientTimeout(30)) as answer:
                        assert answer.status == 200
                    served.set()
                    peak = max(peak, self.process.memory_info().rss)
                    await asyncio.sleep(0.01)

            serving = asyncio.create_task(others())
            yield
            waiting = asyncio.create_task(served.wait())
            await asyncio.wait({serving, waiting}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if serving.done():
                await serving
            serving.cancel()
        assert served.is_set()
        assert peak - before <= MOST_MEMORY


@pytest.fixture(scope="module")
async def server(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    settings = {"SCRIBEWIRE_UPLOAD_STALL_SECONDS": "2", "SCRIBEWIRE_IDLE_SECONDS": "2"}
    async with gateway_process(kafka_bootstrap, dsn, tmp_path_factory.mktemp("gateway"), **settings) as (process, url):
        yield Server(psutil.Process(process.pid), url)


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_form_without_end_is_refused_and_others_are_served(server: Server, name: str) -> None:
    pieces = list(ATTACKS[name])
    async with server.watched():
        answers = await asyncio.gather(*(server.attack(pieces) for _ in range(AT_ONCE)))
    assert set(answers) <= {b"400", b"413", b"cut"}
    assert b"cut" not in answers or len(set(answers)) > 1


async def test_a_boundary_that_makes_searching_slow_is_refused(server: Server) -> None:
    async with server.watched():
        assert await server.attack([b"-" * 2400] * 100, boundary="-" * 1200) == b"400"


async def test_heads_and_bodies_that_never_come_hold_nobody_up(server: Server) -> None:
    opened = [await server.connect() for _ in range(300)]
    try:
        async with server.watched():
            for number, (_, writer) in enumerate(opened):
                writer.write(b"POST /v1/jobs HTTP/1.1\r\nHost: here\r\n")
                if number % 2:
                    writer.write(f"x-api-key: {KEY}\r\nContent-Length: {MIB}\r\n\r\nR".encode())
            # Silence is given up after the two seconds that are set here; what matters is that it is at all.
            ends = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in opened)), 60)
    finally:
        for _, writer in opened:
            writer.close()
    assert {end[9:12] for end in ends[1::2]} == {b"408"}


def test_the_folder_of_incoming_bytes_is_empty_afterwards(server: Server) -> None:
    incoming = Path(server.process.cwd()) / "blobs" / ".incoming"
    assert not list(incoming.glob("*"))

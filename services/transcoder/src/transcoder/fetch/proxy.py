"""A proxy on loopback for one program: what it asks for is looked up once, and only public addresses are reached."""

import asyncio
import base64
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from yarl import URL

from common.guard import Refused

Connect = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to a host and port, or raises `OSError`; `common.guard.open_guarded` is one."""

HOST = "127.0.0.1"
_HEAD_SECONDS = 20.0
_CONNECT_SECONDS = 30.0
_LONGEST_HEAD = 64 * 1024
_AT_ONCE = 64 * 1024


class Proxy:
    """Speaks ``CONNECT`` and plain HTTP, to whoever knows the secret, one request a connection.

    Parameters
    ----------
    connect
        Opens connections, or refuses.
    idle
        Seconds of silence after which a connection is cut.
    """

    def __init__(self, connect: Connect, *, idle: float) -> None:
        self._connect = connect
        self._idle = idle
        self._secret = secrets.token_urlsafe(24)
        self._expected = b"Basic " + base64.b64encode(f"fetch:{self._secret}".encode())
        self._running: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refused = 0
        """Requests for what is not public."""

    @property
    def url(self) -> str:
        """Its address, with the secret."""
        return f"http://fetch:{self._secret}@{HOST}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Deal with one connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's callback runs in a task
        self._running.add(task)
        try:
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._serve(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def close(self) -> None:
        """Cut every connection."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            request, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        if not any(self._opens(field) for field in fields):
            writer.write(_answer(b"407 Proxy Authentication Required"))
            return
        method, target, version = request.split(b" ")
        tunnel = method == b"CONNECT"
        url = URL(f"//{target.decode('ascii')}" if tunnel else target.decode("ascii"), encoded=True)
        if not url.host or not url.port or (not tunnel and url.scheme != "http"):
            writer.write(_answer(b"400 Bad Request"))
            return
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                far_reader, far = await self._connect(url.host, url.port)
        except Refused:
            self.refused += 1
            writer.write(_answer(b"403 Forbidden"))
            return
        except (OSError, TimeoutError):
            writer.write(_answer(b"502 Bad Gateway"))
            return
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far.write(b"\r\n".join([_origin(method, url, version), *_passed_on(fields), b"", b""]))
            clock = _Silence(self._idle)
            await asyncio.gather(_pump(reader, far, clock), _pump(far_reader, writer, clock))
        finally:
            far.close()

    def _opens(self, field: bytes) -> bool:
        name, _, value = field.partition(b":")
        return name.lower() == b"proxy-authorization" and hmac.compare_digest(value.strip(), self._expected)


class _Silence:
    """How long nothing was said on a connection, by either side: who downloads says nothing for long."""

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self.heard()

    def heard(self) -> None:
        """Somebody said something."""
        self._since = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether it has lasted too long."""
        return time.monotonic() - self._since >= self.longest


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, silence: _Silence) -> None:
    while True:
        try:
            async with asyncio.timeout(silence.longest):
                block = await source.read(_AT_ONCE)
        except TimeoutError:
            if silence.over:
                raise
            continue
        if not block:
            break
        silence.heard()
        sink.write(block)
        async with asyncio.timeout(silence.longest):
            await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


@asynccontextmanager
async def guarding_proxy(connect: Connect, *, idle: float) -> AsyncIterator[Proxy]:
    """A proxy on a free port of loopback, inside the block."""
    proxy = Proxy(connect, idle=idle)
    server = await asyncio.start_server(proxy.serve, HOST, 0, limit=_LONGEST_HEAD)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


def _answer(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _origin(method: bytes, url: URL, version: bytes) -> bytes:
    return b" ".join([method, (url.raw_path_qs or "/").encode("ascii"), version])


def _passed_on(fields: list[bytes]) -> list[bytes]:
    """The head without what is for the proxy; the connection is not kept: the next request may name another host."""
    mine = (b"proxy-", b"connection:")
    return [*(field for field in fields if not field.lower().startswith(mine)), b"Connection: close"]

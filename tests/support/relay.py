"""A relay before a server, that can freeze: connections stay, new ones are taken, and nothing comes through."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Passes bytes on, both ways, until it is frozen."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()

    def freeze(self) -> None:
        """Pass on nothing more; nobody is told."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass on again, beginning with what came meanwhile."""
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its begin to its end."""
        await self._flowing.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()


@contextlib.asynccontextmanager
async def relayed(dsn: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay before the server of an address, and the address through it."""
    address = urlsplit(dsn)
    relay = Relay(address.hostname or "127.0.0.1", address.port or 5432)
    # Not `async with server`: from Python 3.12 on that waits for connections that may be frozen.
    server = await asyncio.start_server(relay.serve, "127.0.0.1")
    try:
        user = address.netloc.rpartition("@")[0]
        port = server.sockets[0].getsockname()[1]
        yield relay, urlunsplit(address._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"))
    finally:
        relay.thaw()
        server.close()

"""tus over HTTP for tests: requests as clients send them, and a network that cuts and kills at given bytes."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from support.faulty_proxy import Connection, FaultyProxy

RESUMABLE = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
UPLOADS = "/v1/uploads"


def metadata(**pairs: str | None) -> dict[str, str]:
    """``Upload-Metadata`` of these pairs; None for a name without a value."""
    encoded = [
        name if value is None else f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in pairs.items()
    ]
    return {"Upload-Metadata": ",".join(encoded)}


async def create(http: aiohttp.ClientSession, length: int | None, **headers: str) -> str:
    """Create an upload; return its address."""
    said = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    async with http.post(UPLOADS, headers={**RESUMABLE, **said, **headers}) as answer:
        assert answer.status == 201, await answer.text()
        return answer.headers["Location"]


def patch(
    http: aiohttp.ClientSession, address: str, offset: int, data: Any, **headers: str
) -> "aiohttp.client._RequestContextManager":
    """Send bytes from an offset on."""
    return http.patch(address, data=data, headers={**RESUMABLE, **BYTES, "Upload-Offset": str(offset), **headers})


async def send(http: aiohttp.ClientSession, address: str, offset: int, data: Any, **headers: str) -> str | None:
    """Send bytes that must be taken; return the id of the job they complete."""
    async with patch(http, address, offset, data, **headers) as answer:
        assert answer.status == 204, await answer.text()
        return answer.headers.get("Scribewire-Job")


async def head(http: aiohttp.ClientSession, address: str) -> Any:
    """The headers that tell of an upload."""
    async with http.head(address, headers=RESUMABLE) as answer:
        assert answer.status == 200, answer.status
        return answer.headers


Mark = tuple[int, Callable[[], Awaitable[None]] | None]
"""So many bytes, and what to do when they have come; in any case the connection is cut then."""


class Cutter(FaultyProxy):
    """A proxy that does something when so many bytes came from clients: cut the connection, or what it is told.

    Parameters
    ----------
    port
        The server's.
    marks
        What to do when, in the order of bytes.
    """

    def __init__(self, port: int, marks: list[Mark]) -> None:
        super().__init__(port, speaks="http")
        self._marks = list(marks)
        self.passed = 0
        self.done = 0
        self._turn = asyncio.Lock()

    async def _send(self, connection: Connection, sink: asyncio.StreamWriter, piece: bytes) -> None:
        await super()._send(connection, sink, piece)
        if sink is not connection.ends[1]:
            return
        self.passed += len(piece)
        async with self._turn:
            if self._marks and self.passed >= self._marks[0][0]:
                _, what = self._marks.pop(0)
                if what is not None:
                    await what()
                self.done += 1
                connection.reset()

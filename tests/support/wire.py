"""HTTP written by hand, for what no client library would send."""

import asyncio
import json
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RawAnswer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    before: list[int] = field(default_factory=list)
    """Statuses of the interim answers before it."""

    def problem(self, status: int, kind: str) -> dict[str, Any]:
        """The problem document, which must be of this status and kind and carry our headers."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["server"] == "scribewire"
        assert self.headers["x-content-type-options"] == "nosniff"
        document = json.loads(self.body)
        assert document["type"] == f"urn:scribewire:problem:{kind}"
        assert document["status"] == status
        return dict(document)


class Wire:
    """A connection on which bytes are written as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> "Wire":
        """Connect to the server of an address."""
        server = urlsplit(url)
        return cls(*await asyncio.open_connection(server.hostname, server.port))

    async def send(self, data: bytes) -> None:
        """Write bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer, interim ones included."""
        async with asyncio.timeout(10):
            raw = await self._reader.readuntil(b"\r\n\r\n")
        line, _, rest = raw.partition(b"\r\n")
        headers = BytesHeaderParser().parsebytes(rest)
        return int(line.split()[1]), {name.lower(): value for name, value in headers.items()}

    async def answer(self) -> RawAnswer:
        """The next final answer, whole."""
        before: list[int] = []
        while True:
            status, headers = await self.head()
            if status >= 200:
                break
            before.append(status)
        async with asyncio.timeout(10):
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return RawAnswer(status, headers, body, before)

    async def ended(self, seconds: float) -> bool:
        """Whether the server ends the connection in this time, without another byte."""
        async with asyncio.timeout(seconds):
            return await self._reader.read(1) == b""

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()

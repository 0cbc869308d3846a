"""What an attack would touch: servers on loopback and files that notice being opened, and whose sound is known."""

import asyncio
import contextlib
import ctypes
import math
import os
import struct
import sys
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.hostile.riff import chunk, wav

TOKEN = b"canary-7f3d9a-do-not-leak"
"""Stands in every canary file; it must stand in nothing that the platform says or stores."""

TONE = 1234.0
LOUD = 20_000

_IN_ACCESS, _IN_OPEN = 0x1, 0x20


def canary_wav() -> bytes:
    """A second of a loud tone, in a file that also has the token."""
    tone = array("h", (int(LOUD * math.sin(2 * math.pi * TONE * at / 16_000)) for at in range(16_000)))
    return wav(chunk(b"note", TOKEN), data=tone.tobytes())


def heard(pcm: bytes) -> bool:
    """Whether samples hold more than silence: the attacks' own sound is silent, so any other came from elsewhere."""
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    return bool(samples) and (max(samples) > 64 or min(samples) < -64)


@dataclass
class Canary:
    """Addresses and files that must not be touched, and a list of the contacts there were."""

    url: str
    tcp: int
    udp: int
    files: Sequence[Path]
    touched: list[str] = field(default_factory=list)


@asynccontextmanager
async def canary(files: Sequence[Path]) -> AsyncIterator[Canary]:
    """Serve the canary's sound over HTTP and listen on a UDP port, on loopback; each contact is noted."""
    touched: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(4096)
        touched.append(f"tcp {asked[:80]!r}")
        body = canary_wav()
        with contextlib.suppress(ConnectionError):
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            touched.append(f"udp {data[:80]!r}")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    udp = transport.get_extra_info("sockname")[1]
    try:
        async with server:
            yield Canary(f"http://127.0.0.1:{port}", port, udp, files, touched)
    finally:
        transport.close()


@contextmanager
def watched(files: Sequence[Path]) -> Iterator["Opened"]:
    """Count who opens or reads files, whoever it is; only Linux tells."""
    if sys.platform != "linux":
        yield Opened(None, {})
        return
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        marks = {libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN | _IN_ACCESS): path for path in files}
        assert -1 not in marks, os.strerror(ctypes.get_errno())
        yield Opened(descriptor, marks)
    finally:
        os.close(descriptor)


@dataclass
class Opened:
    """Calling it tells what was opened since the last call."""

    descriptor: int | None
    marks: dict[int, Path]

    def __call__(self) -> list[str]:
        """Each opening and reading as a line."""
        if self.descriptor is None:
            return []
        events = b""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.descriptor, 65_536):
                events += more
        told = []
        while events:
            mark, mask, _, length = struct.unpack_from("iIII", events)
            told.append(f"{'opened' if mask & _IN_OPEN else 'read'} {self.marks[mark].name}")
            events = events[16 + length :]
        return told

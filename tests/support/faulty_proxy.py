"""A TCP proxy between a service and a server, with the faults of a bad network, switched while connections are open."""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from scribewire_local.ports import HOST, free_port
from support.http_message import read_answer, read_request

Fault = Literal["latency", "reset", "slicing", "half-open", "duplicate", "refuse"]
Speaks = Literal["http", "kafka", "postgres"]
FAULTS: tuple[Fault, ...] = ("latency", "reset", "slicing", "half-open", "duplicate")
"""What a network does; ``refuse`` is a server that is down."""

_RESET = struct.pack("ii", 1, 0)
_RESET_EVERY = 0.5
_LOST_EVERY = 0.7
_AHEAD = 64
_KAFKA_PRODUCE, _KAFKA_OFFSET_COMMIT = 0, 8
_DONE = (b"C\x00\x00\x00\x0bCOMMIT\x00", b"INSERT 0 ")
"""What PostgreSQL says when a transaction is committed, or a row inserted."""


class Connection:
    """One client's connection and its counterpart to the server."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.ends = (near, far)
        self.spoiled = False
        self.answered: int | None = None
        """The kind of the Kafka request whose answer came last."""
        self._asked: dict[bytes, int] = {}

    def note(self, frame: bytes, *, answer: bool) -> None:
        """Keep book of which Kafka request an answer belongs to, by its correlation id."""
        if answer:
            self.answered = self._asked.pop(frame[4:8], None)
        else:
            self._asked[frame[8:12]] = int.from_bytes(frame[4:6], "big")

    def reset(self) -> None:
        """Cut it on both sides with RST, as a crashed or impatient middlebox does."""
        for end in self.ends:
            sock: socket.socket | None = end.get_extra_info("socket")
            if sock is not None and not end.transport.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()

    def close(self) -> None:
        """End it in good order."""
        for end in self.ends:
            end.close()


class FaultyProxy:
    """Passes bytes on, both ways, until a fault is injected; `heal` ends the fault.

    - ``latency``: answers come ``seconds`` later, in order; nothing is lost.
    - ``reset``: open connections are cut with RST, each with a chance of one half every half second; so are new ones.
    - ``slicing``: every byte travels alone, ``rate`` of them a second in each direction of a connection.
    - ``half-open``: connections stay and new ones are taken, but what is sent vanishes and nobody is told, not even of
      a peer that left. `heal` cuts these connections, as what they carried is incomplete.
    - ``duplicate``: a request is executed twice. TCP itself never delivers twice, so this stands for what a network
      does to a caller: over HTTP each request goes to the server twice and the second answer comes back, as from a
      middlebox that repeats. Kafka's and PostgreSQL's answers to what changed something (a batch produced, an offset
      committed; a transaction committed, a row inserted) are lost after it was executed, about one in 0.7 s, and the
      connection is cut, so that the client itself must do it again.
    - ``refuse``: the port is closed and every connection cut.

    ``hits`` counts what each fault did: answers delayed, connections cut, pieces sliced or swallowed, requests doubled.
    All of it lives in the event loop in which `open` ran.

    Parameters
    ----------
    port
        The server's, on this machine.
    speaks
        What clients and server speak; only ``duplicate`` needs to know.
    """

    def __init__(self, port: int, *, speaks: Speaks, host: str = HOST, seed: int = 0) -> None:
        self.port = free_port()
        self.fault: Fault | None = None
        self.hits: Counter[Fault] = Counter()
        self.seconds = 2.0
        self.rate = 1.0
        self._target = (host, port)
        self._speaks = speaks
        self._chance = random.Random(seed)
        self._connections: set[Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._lost = 0.0
        self._server: asyncio.Server | None = None
        self._resetting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def close(self) -> None:
        """Listen no more; every connection is cut."""
        await self._stop_listening()
        for connection in list(self._connections):
            connection.reset()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def inject(self, fault: Fault, *, seconds: float = 2.0, rate: float = 1.0) -> None:
        """Begin a fault, in place of the one there is."""
        await self.heal()
        self.fault, self.seconds, self.rate = fault, seconds, rate
        self._announce()
        if fault == "reset":
            self._resetting = asyncio.create_task(self._keep_resetting())
        elif fault == "refuse":
            await self._stop_listening()
            self._cut(self._connections)
        elif fault == "duplicate" and self._speaks == "http":
            for connection in list(self._connections):  # their next ones are read request by request
                connection.reset()

    async def heal(self) -> None:
        """Be a good network again; connections that lost bytes are cut."""
        self.fault = None
        self._announce()
        if self._resetting is not None:
            self._resetting.cancel()
            self._resetting = None
        for connection in [one for one in self._connections if one.spoiled]:
            connection.reset()
        if self._server is None:
            await self.open()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _stop_listening(self) -> None:
        # Not `wait_closed`: from Python 3.12 on that waits for connections that may be frozen.
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _keep_resetting(self) -> None:
        while True:
            self._cut(one for one in list(self._connections) if self._chance.random() < 0.5)
            await asyncio.sleep(_RESET_EVERY)

    def _cut(self, connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            self._hit()
            connection.reset()

    def _hit(self) -> None:
        if self.fault is not None:
            self.hits[self.fault] += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self.fault == "duplicate" and self._speaks == "http":
                await self._serve_twice(reader, writer)
            else:
                await self._relay(reader, writer)
        writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        connection = Connection(writer, far_writer)
        self._connections.add(connection)
        try:
            if self.fault == "reset" and self._chance.random() < 0.5:
                self._cut([connection])
                return
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(connection, reader, far_writer, answers=False))
                both.create_task(self._pump(connection, far_reader, writer, answers=True))
        except* (OSError, asyncio.IncompleteReadError):
            connection.reset()
        finally:
            connection.close()
            self._connections.discard(connection)

    async def _pump(
        self, connection: Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        """Pass on what one side says, piece by piece, each with the time at which it came."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_AHEAD)
        reading = asyncio.create_task(self._read(source, pieces))
        try:
            while True:
                came, piece = await pieces.get()
                if answers and self.fault == "latency" and piece:
                    self._hit()
                    await self._still(came + self.seconds - time.monotonic())
                if self._speaks == "kafka" and piece:
                    connection.note(piece, answer=answers)
                if answers and self._loses(connection, piece):
                    self._cut([connection])
                    return
                if not piece:
                    await self._ended(connection, sink)
                    return
                await self._send(connection, sink, piece)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, source: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        piece = b"begin"
        while piece:
            try:
                piece = await (_frame(source) if self._speaks == "kafka" else source.read(65536))
            except (OSError, asyncio.IncompleteReadError):
                piece = b""
            await pieces.put((time.monotonic(), piece))

    async def _send(self, connection: Connection, sink: asyncio.StreamWriter, piece: bytes) -> None:
        while piece:
            if self.fault == "half-open":
                connection.spoiled = True
                self._hit()
                return
            if self.fault == "slicing":
                sink.write(piece[:1])
                piece = piece[1:]
                self._hit()
                await sink.drain()
                await self._still(1 / self.rate)
            else:
                sink.write(piece)
                piece = b""
                await sink.drain()

    async def _ended(self, connection: Connection, sink: asyncio.StreamWriter) -> None:
        """Tell the other side that this one has left, unless nobody is to know."""
        if self.fault == "half-open":
            connection.spoiled = True
            await asyncio.Event().wait()  # until it is cut
        sink.close()

    def _loses(self, connection: Connection, answer: bytes) -> bool:
        if self.fault != "duplicate" or time.monotonic() < self._lost + _LOST_EVERY:
            return False
        kafka = connection.answered in {_KAFKA_PRODUCE, _KAFKA_OFFSET_COMMIT}
        loses = kafka if self._speaks == "kafka" else any(done in answer for done in _DONE)
        if loses:
            self._lost = time.monotonic()
        return loses

    async def _serve_twice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader):
            if self.fault == "duplicate":
                await self._ask(request)
                self._hit()
            writer.write(await self._ask(request))
            await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            writer.write(request)
            return await read_answer(reader, request)
        finally:
            writer.close()

    async def _still(self, seconds: float) -> None:
        """Wait, but no longer than the fault lasts."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()


async def _frame(source: asyncio.StreamReader) -> bytes:
    """One Kafka request or answer, with its length."""
    size = await source.readexactly(4)
    return size + await source.readexactly(int.from_bytes(size, "big"))


@contextlib.asynccontextmanager
async def faulty_proxy(address: str, *, speaks: Speaks) -> AsyncIterator[tuple[FaultyProxy, str]]:
    """A proxy before the server of an address, and the address through it."""
    proxy = FaultyProxy(urlsplit(address).port or 0, speaks=speaks)
    await proxy.open()
    try:
        yield proxy, through(address, proxy.port)
    finally:
        await proxy.close()


def through(address: str, port: int) -> str:
    """An address with another port on this machine."""
    parts = urlsplit(address)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{HOST}:{port}"))

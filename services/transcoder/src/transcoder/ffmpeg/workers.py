"""The service's end of the worker processes: keeps the one that forks them running, and holds each on a leash."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import asdict
from pathlib import Path

from common.errors import Transient
from transcoder.worker.child import Order
from transcoder.worker.wire import HEADER, LONGEST
from transcoder.worker.zygote import FORK, KEEP, STATUS

_END_SECONDS = 10.0
"""A killed worker is gone long before; then the process that forks them is what hangs."""


class Worker:
    """One child that decodes one file: what it says, and how it ended."""

    def __init__(self, said: asyncio.StreamReader, leash: socket.socket) -> None:
        self._said = said
        self._leash = leash

    async def hear(self) -> tuple[bytes, bytes] | None:
        """Wait for its next message, as kind and payload; None when it says no more.

        Raises
        ------
        ValueError
            When that is no message.
        """
        try:
            kind, size = HEADER.unpack(await self._said.readexactly(HEADER.size))
            if size > LONGEST:
                msg = "a message of a worker is too long"
                raise ValueError(msg)
            return kind, await self._said.readexactly(size)
        except asyncio.IncompleteReadError:
            return None

    async def ended(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal.

        None when whoever forks is gone, or could make no child.
        """
        with suppress(ConnectionError):
            status = await asyncio.get_running_loop().sock_recv(self._leash, STATUS.size)
            if len(status) == STATUS.size:
                return int(STATUS.unpack(status)[0])
        return None

    async def kill(self) -> None:
        """Have it killed, wherever it is, and wait until it is gone."""
        with suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)
        await self.ended()


class Workers:
    """Forks workers; starts the process that does it, and starts it anew when it has ended."""

    def __init__(self, order: Order) -> None:
        self._argument = json.dumps(asdict(order))
        self._zygote: _Zygote | None = None
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def worker(self, source: Path, target: str | None = None) -> AsyncIterator[Worker]:
        """Have a file decoded; the worker is killed when the context ends.

        Parameters
        ----------
        target
            A format of `common.audio_formats` in which the audio is to come as well.

        Raises
        ------
        OSError
            When the file cannot be opened.
        Transient
            When no worker can be started.
        """
        loop = asyncio.get_running_loop()
        order = next((order for order, name in KEEP.items() if name == target), FORK)
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        reading, writing = os.pipe()  # behind what can fail: nobody else would close these two
        pipe = os.fdopen(reading, "rb", buffering=0)
        said = asyncio.StreamReader(limit=2 * LONGEST)
        with mine, pipe:
            try:
                with theirs, source.open("rb", buffering=0) as file:
                    zygote = await self._fork(order, [file.fileno(), writing, theirs.fileno()])
            finally:
                os.close(writing)
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), pipe)
            worker = Worker(said, mine)
            try:
                yield worker
            finally:
                with closing(transport):
                    await self._gone(worker, zygote)

    def close(self) -> None:
        """End every worker and the process that forks them."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    async def _gone(self, worker: Worker, zygote: "_Zygote") -> None:
        try:
            async with asyncio.timeout(_END_SECONDS):
                await worker.kill()
        except TimeoutError:
            await asyncio.to_thread(zygote.close)

    async def _fork(self, order: bytes, descriptors: list[int]) -> "_Zygote":
        async with self._starting:
            for _ in range(2):  # the first may find out only by trying that its process has ended
                if self._zygote is None or self._zygote.ended:
                    try:
                        self._zygote = await asyncio.to_thread(_Zygote, self._argument)
                    except OSError as error:
                        raise Transient("The decoder cannot be started.", code="decoder_unavailable") from error
                with suppress(OSError):
                    self._zygote.fork(order, descriptors)
                    return self._zygote
                self.close()
        raise Transient("The decoder cannot be started.", code="decoder_unavailable")


class _Zygote:
    """The process that forks workers, as a child of the service that knows none of its secrets."""

    def __init__(self, argument: str) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "transcoder.worker", argument],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
                cwd="/", env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            )  # fmt: skip
        self.close = weakref.finalize(self, _end, self._line, self._process)

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return not self.close.alive or self._process.poll() is not None

    def fork(self, order: bytes, descriptors: list[int]) -> None:
        """Hand over an order and descriptors for one worker. Raises `OSError` when nobody takes them."""
        socket.send_fds(self._line, [order], descriptors)


def _end(line: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    line.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""A small pool of worker processes: started when needed, kept warm, killed when they hang."""

import asyncio
import json
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

Message = Mapping[str, Any]

_LOST = (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError)


class WorkerLost(Exception):  # noqa: N818 - what happened to it
    """The worker died, or was killed because it hung; the next request gets a fresh one."""


class Workers:
    """Processes of one Python module that answer one request at a time.

    The module speaks JSON behind a four-byte big-endian length on stdin and stdout, sends one message when it is
    ready, and gets its parent's process id as argument.

    Parameters
    ----------
    module
        What the workers run, as in ``python -m module``.
    size
        How many there are at most; a request waits for a free one.
    start_limit
        Seconds a worker may take until it is ready.
    """

    def __init__(self, module: str, *, size: int, start_limit: float = 60.0) -> None:
        self._module = module
        self._size = size
        self._start_limit = start_limit
        # Last in, first out: a warm worker before a place where one would have to be started.
        self._idle: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        self._all: set[Process] = set()
        for _ in range(size):
            self._idle.put_nowait(None)

    async def ask(self, request: Message, *, limit: float) -> Message:
        """Send a request to a free worker and return its answer.

        Raises
        ------
        WorkerLost
            The worker died, or did not answer within ``limit`` seconds and was killed.
        """
        worker = await self._idle.get()
        try:
            worker = await self._alive(worker)
            async with asyncio.timeout(limit):
                await _send(worker, request)
                answer = await _receive(worker)
        except _LOST as error:
            await self._end(worker)
            worker = None
            raise WorkerLost(type(error).__name__) from error
        except BaseException:  # cancelled: the worker is still busy with what nobody wants
            await self._end(worker)
            worker = None
            raise
        finally:
            self._idle.put_nowait(worker)
        return answer

    async def warm(self) -> None:
        """Start every worker now, so that no request waits for it; one that cannot start is tried again when asked."""

        async def one() -> None:
            worker = await self._idle.get()
            try:
                worker = await self._alive(worker)
            except _LOST:
                worker = None
            finally:
                self._idle.put_nowait(worker)

        await asyncio.gather(*(one() for _ in range(self._size)))

    async def stop(self) -> None:
        """Kill every worker."""
        for worker in list(self._all):
            await self._end(worker)

    async def _alive(self, worker: Process | None) -> Process:
        if worker is not None and worker.returncode is None:
            return worker
        await self._end(worker)
        return await self._start()

    async def _start(self) -> Process:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, str(os.getpid()), stdin=PIPE, stdout=PIPE
        )
        self._all.add(worker)
        try:
            async with asyncio.timeout(self._start_limit):
                await _receive(worker)
        except BaseException:
            await self._end(worker)
            raise
        return worker

    async def _end(self, worker: Process | None) -> None:
        if worker is not None:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
            self._all.discard(worker)


async def _send(worker: Process, message: Message) -> None:
    body = json.dumps(message).encode()
    assert worker.stdin is not None  # noqa: S101 - made with a pipe
    worker.stdin.write(struct.pack(">I", len(body)) + body)
    await worker.stdin.drain()


async def _receive(worker: Process) -> Message:
    assert worker.stdout is not None  # noqa: S101 - made with a pipe
    head = await worker.stdout.readexactly(4)
    answer: Message = json.loads(await worker.stdout.readexactly(struct.unpack(">I", head)[0]))
    return answer

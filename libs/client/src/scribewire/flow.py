"""Calls as steps: what to send, when to wait and what to do is decided once; a driver does it, blocking or not."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from time import sleep
from typing import Any, BinaryIO, TypeVar

import anyio
import anyio.to_thread
import httpx

from scribewire.errors import ScribewireError

T = TypeVar("T")

Body = Callable[[], Iterator[bytes]]
"""Gives the bytes of a request from their beginning, each time it is called."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request.

    Parameters
    ----------
    document
        Sent as JSON.
    body
        Sent as it is, chunk by chunk.
    into
        Takes the body of a successful answer, from the beginning of the file; it is not held in memory then.
    repeatable
        Whether sending it twice does what sending it once does, so that it may be sent again after a cut.
    done
        Statuses which, when it is sent again after a cut, say that it was carried out the first time.
    known
        Whether it shows who calls.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    body: Body | None = None
    into: BinaryIO | None = None
    repeatable: bool = True
    done: frozenset[int] = frozenset()
    known: bool = True


@dataclass(frozen=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do something that blocks: read a file, wait for a lock."""

    do: Callable[[], Any]


Step = Request | Pause | Work
Flow = Generator[Step, Any, T]
"""A call of several steps: a request is answered with its `httpx.Response`, body read; what fails is thrown in."""


def run(flow: Flow[T], http: httpx.Client) -> T:
    """Take a flow's steps, blocking, and return its result."""
    with closing(flow):
        try:
            step = next(flow)
            while True:
                try:
                    done = _take(step, http)
                except (httpx.TransportError, OSError, ScribewireError) as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(done)
        except StopIteration as end:
            result: T = end.value
            return result


async def arun(flow: Flow[T], http: httpx.AsyncClient) -> T:
    """Take a flow's steps without blocking the event loop, and return its result."""
    with closing(flow):
        try:
            step = next(flow)
            while True:
                try:
                    done = await _atake(step, http)
                except (httpx.TransportError, OSError, ScribewireError) as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(done)
        except StopIteration as end:
            result: T = end.value
            return result


def _take(step: Step, http: httpx.Client) -> Any:
    match step:
        case Pause(seconds):
            return sleep(seconds)
        case Work(do):
            return do()
    content = step.body() if step.body else None
    with http.stream(**_arguments(step), content=content) as response:
        if step.into is None or not response.is_success:
            response.read()
        else:
            _rewind(step.into)
            for chunk in response.iter_bytes():
                step.into.write(chunk)
        return response


async def _atake(step: Step, http: httpx.AsyncClient) -> Any:
    match step:
        case Pause(seconds):
            return await anyio.sleep(seconds)
        case Work(do):
            # Not abandoned when cancelled: a renewed login that nobody wrote down would be lost.
            return await anyio.to_thread.run_sync(do)
    content = _chunks(step.body()) if step.body else None
    async with http.stream(**_arguments(step), content=content) as response:
        if step.into is None or not response.is_success:
            await response.aread()
        else:
            await anyio.to_thread.run_sync(_rewind, step.into)
            async for chunk in response.aiter_bytes():
                await anyio.to_thread.run_sync(step.into.write, chunk)
        return response


def _arguments(request: Request) -> dict[str, Any]:
    named = ("method", "params", "headers")
    return {name: getattr(request, name) for name in named} | {"url": request.path, "json": request.document}


def _rewind(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


async def _chunks(body: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await anyio.to_thread.run_sync(next, body, b""):
        yield chunk

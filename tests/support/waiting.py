"""Waiting for what a test expects to come true: with a time limit, and told loudly when it did not."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


def until(what: Callable[[], T], *, seconds: float, every: float = 0.2, why: str = "") -> T:
    """Wait until a condition holds and return its value.

    Raises
    ------
    AssertionError
        It did not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {why or what}")
        time.sleep(every)
    return found


@overload
async def eventually(
    what: Callable[[], Awaitable[T | None]], seconds: float = ..., *, every: float = ..., why: str = ...
) -> T: ...
@overload
async def eventually(what: Callable[[], T], seconds: float = ..., *, every: float = ..., why: str = ...) -> T: ...
async def eventually(what: Callable[[], Any], seconds: float = 30.0, *, every: float = 0.05, why: str = "") -> Any:
    """Wait in an event loop until a condition, which may have to be awaited itself, holds, and return its value.

    Raises
    ------
    AssertionError
        It did not within ``seconds``.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = what()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(every)
    except TimeoutError as late:
        raise AssertionError(f"not within {seconds} s: {why or what}") from late

"""How the asynchronous client takes the steps of a call."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from scribewire.config import Gateway
from scribewire.connection import settings
from scribewire.core import Core
from scribewire.flow import Flow, arun

T = TypeVar("T")


class AsyncCalling(Core):
    """A connection to one gateway from one event loop; use it as an asynchronous context manager."""

    def __init__(self, gateway: Gateway | None = None, *, patience: float = 60.0) -> None:
        super().__init__(gateway, patience=patience)
        self._http = httpx.AsyncClient(**settings(self.gateway.url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _run(self, flow: Flow[T]) -> T:
        return await arun(flow, self._http)

    async def _pages(self, page: Callable[[str | None], Flow[Any]], name: str) -> AsyncIterator[Any]:
        """What every page has under a name, one by one."""
        cursor: str | None = None
        while True:
            answer = await self._run(page(cursor))
            for entry in answer[name]:
                yield entry
            if not (cursor := answer.get("next_cursor")):
                return

"""How the blocking client takes the steps of a call."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from scribewire.config import Gateway
from scribewire.connection import settings
from scribewire.core import Core
from scribewire.flow import Flow, run

T = TypeVar("T")


class Calling(Core):
    """A connection to one gateway, from any number of threads; use it as a context manager."""

    def __init__(self, gateway: Gateway | None = None, *, patience: float = 60.0) -> None:
        super().__init__(gateway, patience=patience)
        self._http = httpx.Client(**settings(self.gateway.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _run(self, flow: Flow[T]) -> T:
        return run(flow, self._http)

    def _pages(self, page: Callable[[str | None], Flow[Any]], name: str) -> Iterator[Any]:
        """What every page has under a name, one by one."""
        cursor: str | None = None
        while True:
            answer = self._run(page(cursor))
            yield from answer[name]
            if not (cursor := answer.get("next_cursor")):
                return

"""Many look-ups as few: one is under way at a time, and those that come meanwhile go together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Batched(Generic[Row]):
    """Looks things up by name.

    However many wrong keys arrive, they take one connection to the database, and each name is asked for once.

    Parameters
    ----------
    look
        Finds what there is of some names.
    """

    def __init__(self, look: Callable[[Sequence[str]], Awaitable[Mapping[str, Row]]]) -> None:
        self._look = look
        self._waiting: dict[str, asyncio.Future[Row | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, name: str) -> Row | None:
        """What has this name; raises what the look-up raised."""
        if (future := self._waiting.get(name)) is None:
            future = self._waiting[name] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_seen)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                found = await self._look(list(batch))
            except Exception as error:  # Whatever it is, it is for those who wait.
                for future in batch.values():
                    future.set_exception(error)
            else:
                for name, future in batch.items():
                    future.set_result(found.get(name))
        self._task = None


def _seen(future: "asyncio.Future[Row | None]") -> None:
    if not future.cancelled():
        future.exception()  # Where nobody waits any more, it is no news.

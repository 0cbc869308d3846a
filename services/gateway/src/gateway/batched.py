"""Many look-ups as few: one is under way at a time, and those that come meanwhile go together in the next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import chain, islice
from typing import Generic, TypeVar

from gateway.database import StoreUnavailable

Name = TypeVar("Name", bound=Hashable)
Row = TypeVar("Row")


class Batched(Generic[Name, Row]):
    """Looks things up by name.

    However many requests there are, they take one connection to the database, and each name is asked for once. Alone, a
    request is asked for at once. Where one name of several cannot be looked up, only those who asked for it hear of it.

    Parameters
    ----------
    look
        Finds what there is of some names.
    """

    def __init__(self, look: Callable[[Sequence[Name]], Awaitable[Mapping[Name, Row]]]) -> None:
        self._look = look
        self._waiting: dict[Name, list[asyncio.Future[Row | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, name: Name) -> Row | None:
        """What has this name; raises what the look-up raised."""
        # One future for each who waits: who gives up takes nothing from the others.
        future: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                await self._answer(batch)
            except StoreUnavailable as error:
                # Those who came meanwhile have waited as well, and would find the same.
                late, self._waiting = self._waiting, {}
                _fail(chain(*batch.values(), *late.values()), error)
        self._task = None

    async def _answer(self, batch: Mapping[Name, "list[asyncio.Future[Row | None]]"]) -> None:
        try:
            found = await self._look(list(batch))
        except StoreUnavailable:
            raise
        except Exception as error:  # Whatever it is, it is for those who wait.
            if len(batch) == 1:
                _fail(chain(*batch.values()), error)
                return
            # One of them is to blame, such as a row that nobody can read: the others are found without it.
            items = iter(batch.items())
            await self._answer(dict(islice(items, len(batch) // 2)))
            await self._answer(dict(items))
        else:
            for name, futures in batch.items():
                row = found.get(name)
                for future in futures:
                    if not future.done():
                        future.set_result(row)


def _fail(futures: "chain[asyncio.Future[Row | None]]", error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)

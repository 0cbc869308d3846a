"""An event loop whose clock is moved by hand: hours pass in milliseconds, and the same steps give the same run."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class _Clock:
    """Stands where a selector stands: waiting moves the time, and nothing ever arrives from outside."""

    def __init__(self) -> None:
        self.now = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "everything waits for something that nobody will do"
        self.now += timeout
        return []

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs tasks in asyncio's own order; no threads, no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._selector.now

    def advance(self, seconds: float) -> None:
        """Let that much time pass; zero is one turn of what is ready."""
        self.call_later(seconds, self.stop)
        self.run_forever()

    def end(self) -> None:
        """Cancel what still runs, and close."""
        for _ in range(10):
            left = asyncio.all_tasks(self)
            for task in left:
                task.cancel()
            if not left:
                break
            self.run_until_complete(asyncio.wait(left, timeout=60))
        self.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.run_until_complete(work)

    def datetime(self) -> type[datetime]:
        """A `datetime` class whose present is this loop's."""
        loop = self

        class Virtual(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return (START + timedelta(seconds=loop.time())).astimezone(tz)

        return Virtual

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing arrives."""

    def _write_to_self(self) -> None:
        """No other thread has to wake it."""

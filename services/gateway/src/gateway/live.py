"""The one reader of live events in a gateway, shared by every open event stream."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from uuid import UUID

import structlog

from common.bus.follow import follow
from common.events import Event, StageProgress

log = structlog.get_logger(__name__)

TOPICS = (
    "stage.progress",
    "stage.failed",
    "transcript.completed",
    "translation.completed",
    "job.completed",
    "job.failed",
    "job.cancelled",
    "job.control",
)


class Listener:
    """What one stream has still to look at: the latest event of each sort, so that a slow client costs no memory."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], Event] = {}
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event; it takes the place of the one of its sort that was not looked at yet."""
        sort = (event.type, event.stage if isinstance(event, StageProgress) else event.part)
        self._latest[sort] = event
        self._arrived.set()

    def wake(self) -> None:
        """Let `take` return with what there is."""
        self._arrived.set()

    async def take(self, seconds: float) -> list[Event]:
        """Everything that arrived, waiting for something; empty when nothing came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        self._arrived.clear()
        events = list(self._latest.values())
        self._latest.clear()
        return events


class Live:
    """Follows the topics from their latest offset, without a group, and hands each event to who listens to its job.

    Parameters
    ----------
    bootstrap
        Kafka's address.
    seen
        Called with every event, listened to or not.
    """

    def __init__(self, bootstrap: str, *, seen: Callable[[Event], None]) -> None:
        self._bootstrap = bootstrap
        self._seen = seen
        self._listeners: dict[UUID, set[Listener]] = {}
        self.closed = False

    def close(self) -> None:
        """Wake every listener: the gateway stops, and its streams go on at another."""
        self.closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake()

    @contextlib.contextmanager
    def listen(self, job: UUID) -> Iterator[Listener]:
        """Events of a job from now on."""
        listener = Listener()
        self._listeners.setdefault(job, set()).add(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners[job]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[job]

    async def run(self) -> None:
        """Follow until cancelled; an error is logged and the following begun anew."""
        while True:
            try:
                async for followed in follow(self._bootstrap, TOPICS):
                    if followed.event is not None:
                        self._hand_out(followed.event)
            except Exception:
                log.exception("live_events_interrupted")
            await asyncio.sleep(1)

    def _hand_out(self, event: Event) -> None:
        self._seen(event)
        for listener in self._listeners.get(event.job_id, ()):
            listener.put(event)

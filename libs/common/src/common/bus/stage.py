"""What a service says about its stages; the bus does the rest."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from common.events import Event

Outputs = Iterable[Event]


class Context(Protocol):
    """What a handler may ask of the bus while it works on one event."""

    @property
    def delivery(self) -> int:
        """Which delivery of the event this is, counted from 1 over all delayed retries."""
        ...

    def cancelled(self) -> bool:
        """Whether the job was cancelled or deleted; look before each expensive step and return no output if so."""
        ...

    async def publish(self, event: Event) -> None:
        """Publish at once, for progress; results are returned, not published. Never raises for progress."""
        ...


Handler = Callable[[Any, Context], Awaitable[Outputs]]
"""One event to events. Returned events are published and acknowledged before the input counts as done.

Raises `Permanent` or `Transient`; anything else counts as `Transient` with the code ``internal``.
"""


@dataclass(frozen=True, kw_only=True)
class Before:
    """What some of a stage's events need before the handler runs, such as bytes that have to be fetched.

    It runs on lanes of its own, under the event's lease where the stage is leased, and fails like the handler; then the
    event has its turn on the stage's lanes. Waiting for it counts as no delivery.

    Parameters
    ----------
    needed
        Whether an event needs it now; quick, for it is asked on the stage's lanes.
    handler
        Does it; doing it again must be harmless.
    concurrency
        How many run at once over both lanes; bulk may use all but a quarter.
    of_one_owner
        How many of one owner run at once, in each lane.
    """

    needed: Callable[[Any], Awaitable[bool]]
    handler: Callable[[Any, Context], Awaitable[None]]
    concurrency: int
    of_one_owner: int


@dataclass(frozen=True, kw_only=True)
class EachStage:
    """A stage in mode `each`: many events at once, committed by the finished prefix.

    Parameters
    ----------
    event
        The class of event consumed; both lanes when it has lanes.
    handler
        The work.
    concurrency
        Handlers at once over both lanes; bulk may use all but a quarter.
    leased
        Whether a lease is held while a handler runs: for work that is paid for, is long, or can kill its process.
    ordered
        Whether events of one key run one after the other, in order.
    before
        What some of the events need before.
    """

    event: type[Event]
    handler: Handler
    concurrency: int = 8
    leased: bool = False
    ordered: bool = False
    before: Before | None = None


class Recorded(Protocol):
    """One decoded record of a batch."""

    @property
    def event(self) -> Event:
        """The event."""
        ...

    @property
    def topic(self) -> str:
        """The Kafka topic it came on."""
        ...

    @property
    def partition(self) -> int:
        """The partition it came on."""
        ...

    @property
    def offset(self) -> int:
        """Its offset."""
        ...


BatchHandler = Callable[[Sequence[Recorded]], Awaitable[Outputs]]
"""A batch of events to events, in one transaction of its own. Returned events are published and acknowledged
before the offsets are committed. `Transient` (or any error) runs the same batch again, with back-off; `Permanent`
halves the batch until the one event that is to blame is alone, which goes to the dead letters."""


@dataclass(frozen=True, kw_only=True)
class BatchStage:
    """A stage in mode `batch`: one transaction for many events, then commit.

    Parameters
    ----------
    events
        The classes of events consumed.
    handler
        The work.
    acknowledged
        Called with what a handler call returned, once all of it is on the log and before the offsets are committed;
        it must not raise.
    max_records
        Most events of a batch.
    """

    events: Sequence[type[Event]]
    handler: BatchHandler
    acknowledged: Callable[[Sequence[Event]], Awaitable[None]] | None = None
    max_records: int = 500


class Control(Protocol):
    """What the bus knows of users' words about jobs."""

    def cancelled(self, job: UUID) -> bool:
        """Whether the job was cancelled or deleted."""
        ...

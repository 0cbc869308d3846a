"""What the notifier needs of the world: where deliveries are kept, and somebody who sends one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Notice:
    """A message about a job that ended, for whoever its owner wants told."""

    event_id: UUID
    event_type: str
    job_id: UUID
    owner: str
    time: datetime
    body: str
    callback_url: str | None


class Register(Protocol):
    """Where notices become deliveries."""

    async def register(self, notices: Sequence[Notice]) -> int:
        """Make one delivery for each notice and each address that is to have it; repeating makes no second one.

        Returns
        -------
        int
            How many are new. Raises `common.errors.Transient` while the database is away.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """A delivery that is due and is ours for a while; ``attempts`` were made before.

    ``secret`` is as stored (`common.webhook_secrets`), or None for a callback address, which the notifier's own secret
    signs; ``gone`` says why it is not to be attempted at all. ``destination`` is equal for deliveries that go to one
    receiver.
    """

    id: UUID
    endpoint_id: UUID | None
    event_id: UUID
    url: str
    body: str
    attempts: int
    destination: str
    secret: str | None
    gone: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: the status answered, if any; what went wrong; seconds we were asked to wait, if any."""

    status: int | None
    error: str | None = None
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        """Only an answer 2xx says that the message was taken."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def unwanted(self) -> bool:
        """The receiver wants no more messages, ever."""
        return self.status == 410


class Queue(Protocol):
    """Deliveries by when they are due. Every method raises `common.errors.Transient` while the database is away."""

    async def claim(self, limit: int, *, share: int, places: Mapping[str, int], seconds: float) -> list[Delivery]:
        """Take due deliveries that no other notifier has, by turns among the destinations, the longest due first.

        Parameters
        ----------
        limit
            How many at most.
        share
            How many at most to one destination.
        places
            Destinations for which it is another number; 0 for none.
        seconds
            How long they are ours; after that they are due again.
        """
        ...

    async def delivered(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that the receiver took it."""
        ...

    async def postponed(self, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """Note a failed attempt and when the next is due."""
        ...

    async def failed(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that the last attempt failed."""
        ...

    async def given_up(self, delivery: Delivery, reason: str) -> None:
        """Note that there is no attempt, and why."""
        ...

    async def disable(self, endpoint: UUID, reason: str) -> None:
        """Send an endpoint nothing more until its owner registers it again."""
        ...


class Sender(Protocol):
    """Makes one attempt."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Sign and send; never raises for what a receiver or the network does."""
        ...

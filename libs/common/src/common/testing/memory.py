"""A bus in memory: runs handlers as the real one does, retries without their delays, and shows what came out."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from common.bus.failures import Failure, stage_failed
from common.bus.stage import BatchStage, EachStage
from common.envelope import body, decode, headers
from common.errors import Permanent
from common.events import Event

LIMIT = 8
"""Deliveries before an event counts as failed, as in the settings' default."""


@dataclass
class FakeContext:
    """A context for calling a handler directly.

    Parameters
    ----------
    delivery
        Which delivery this is.
    jobs
        Cancelled jobs.
    job
        The job of the event at work.
    """

    delivery: int = 1
    jobs: Collection[UUID] = ()
    job: UUID | None = None
    published: list[Event] = field(default_factory=list)
    """What the handler published at once."""

    def cancelled(self) -> bool:
        """Whether the job is among the cancelled ones."""
        return self.job in self.jobs

    async def publish(self, event: Event) -> None:
        """Keep the event."""
        self.published.append(over_the_wire(event))


@dataclass(frozen=True)
class MemoryRecord:
    """One record of a batch."""

    event: Event
    topic: str
    partition: int
    offset: int


def over_the_wire(event: Event) -> Event:
    """The event after it was encoded and decoded, so that a test sees what a consumer would."""
    return decode(body(event), headers(event, service="test"))


async def run_stage(
    stage: EachStage, events: Iterable[Event], *, cancelled: Collection[UUID] = (), service: str = "transcriber"
) -> list[Event]:
    """Run a handler on some events, one after the other.

    Returns
    -------
    list of Event
        Everything published, in order: what the handler published at once, what it returned, and a `StageFailed` of
        ``service`` for each event that it refused or failed `LIMIT` times.
    """
    out: list[Event] = []
    for event in events:
        if event.job_id not in cancelled:
            out += await _deliver(stage, over_the_wire(event), cancelled, service)
    return out


async def run_batch(stage: BatchStage, events: Sequence[Event]) -> list[Event]:
    """Run a batch handler once on all events, each on its topic's partition 0; return what it published."""
    offsets: dict[str, int] = {}
    records = []
    for event in events:
        offset = offsets.get(event.topic, 0)
        offsets[event.topic] = offset + 1
        records.append(MemoryRecord(over_the_wire(event), event.topic, 0, offset))
    return [over_the_wire(output) for output in await stage.handler(records)]


async def _deliver(stage: EachStage, event: Event, cancelled: Collection[UUID], service: str) -> list[Event]:
    published: list[Event] = []
    for number in range(1, LIMIT + 1):
        context = FakeContext(number, cancelled, event.job_id, published)
        try:
            if stage.before is not None and await stage.before.needed(event):
                await stage.before.handler(event, context)
            outputs = await stage.handler(event, context)
        except Exception as error:
            if isinstance(error, Permanent) or number == LIMIT:
                failed = stage_failed(event, Failure.of(error), service, number)
                return [*published, *([] if failed is None else [failed])]
        else:
            return [*published, *map(over_the_wire, outputs)]
    return published

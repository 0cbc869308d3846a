"""Mode `batch` on real Kafka: all or nothing, then commit; one bad event harms no other."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from common.bus import BatchStage
from common.bus.producer import Outgoing, Producer
from common.bus.stage import Recorded
from common.errors import Permanent, Transient
from common.events import Event, SegmentReady, SegmentTranscribed
from support.buskit import SERVICE, SOURCES, group_lag, publish, publish_raw, records, running, segment, transcribed
from support.waiting import eventually


class Recorder:
    """Remembers what it was given, as a transaction would: only when it did not fail."""

    def __init__(self) -> None:
        self.kept: list[Recorded] = []
        self.calls = 0

    async def __call__(self, batch: Sequence[Recorded]) -> list[Event]:
        self.calls += 1
        await self.check(batch)
        self.kept += batch
        return []

    async def check(self, batch: Sequence[Recorded]) -> None:
        """Fail, perhaps."""


def stage(handler: Recorder) -> BatchStage:
    return BatchStage(events=[SegmentReady, SegmentTranscribed], handler=handler)


async def committed(bootstrap: str) -> None:
    async def nothing_left() -> bool:
        return await group_lag(bootstrap, SERVICE, SOURCES) == 0

    await eventually(nothing_left)


def mixed(number: int) -> list[Event]:
    events: list[Event] = []
    for index in range(number):
        event = segment(index=index, lane="bulk" if index % 3 else "interactive")
        events += [event, transcribed(event)]
    return events


async def test_many_events_are_one_call_in_order_with_their_positions(bus_kafka: str) -> None:
    recorder, events = Recorder(), mixed(100)
    await publish(bus_kafka, events)
    async with running(bus_kafka, stage(recorder)):
        await committed(bus_kafka)
    assert {record.event.id for record in recorder.kept} == {event.id for event in events}
    assert len(recorder.kept) == 200
    assert recorder.calls < 40
    last: dict[tuple[str, int], int] = {}
    for record in recorder.kept:
        place = (record.topic, record.partition)
        assert record.offset > last.get(place, -1)
        last[place] = record.offset


async def test_a_transient_error_repeats_the_same_batch_and_loses_nothing(bus_kafka: str) -> None:
    class Flaky(Recorder):
        async def check(self, batch: Sequence[Recorded]) -> None:
            if self.calls <= 3:
                raise (Transient("the database is away") if self.calls % 2 else ValueError("or a bug"))

    recorder, events = Flaky(), mixed(20)
    await publish(bus_kafka, events)
    async with running(bus_kafka, stage(recorder)):
        await committed(bus_kafka)
    assert Counter(record.event.id for record in recorder.kept) == Counter(event.id for event in events)
    assert not await records(bus_kafka, *(f"{topic}.dead" for topic in SOURCES))


async def test_the_one_to_blame_is_found_and_buried(bus_kafka: str) -> None:
    class Strict(Recorder):
        async def check(self, batch: Sequence[Recorded]) -> None:
            if any(isinstance(record.event, SegmentReady) and record.event.audio.name == "bad" for record in batch):
                raise Permanent("bad_row", "This cannot be recorded.")

    recorder, good, bad = Strict(), mixed(30), [segment("bad"), segment("bad", lane="bulk")]
    await publish(bus_kafka, [*good[:20], bad[0], *good[20:], bad[1]])
    async with running(bus_kafka, stage(recorder)):
        await committed(bus_kafka)
    assert Counter(record.event.id for record in recorder.kept) == Counter(event.id for event in good)
    dead = await records(bus_kafka, *(f"{topic}.dead" for topic in SOURCES))
    assert {dict(record.headers)["ce_id"].decode() for record in dead} == {str(event.id) for event in bad}
    assert len(await records(bus_kafka, "stage.failed")) == 2


async def test_what_is_no_event_is_buried_and_tombstones_pass(bus_kafka: str) -> None:
    recorder = Recorder()
    producer = Producer(bus_kafka, service="test")
    await producer.start()
    await producer.tombstone("segment.transcribed", "some-job")
    await producer.stop()
    await publish_raw(bus_kafka, [Outgoing("segment.transcribed", b"k", b"not an event", [])])
    await publish(bus_kafka, mixed(5))
    async with running(bus_kafka, stage(recorder)):
        await committed(bus_kafka)
    assert len(recorder.kept) == 10
    (dead,) = await records(bus_kafka, "segment.transcribed.dead")
    assert dead.value == b"not an event"


async def test_outputs_are_acknowledged_before_the_offsets_are_committed(bus_kafka: str) -> None:
    class Announcing(Recorder):
        async def __call__(self, batch: Sequence[Recorded]) -> list[Event]:
            self.kept += batch
            return [transcribed(record.event) for record in batch if isinstance(record.event, SegmentReady)]

    recorder, events = Announcing(), [segment(index=number) for number in range(50)]
    await publish(bus_kafka, events)
    async with running(bus_kafka, BatchStage(events=[SegmentReady], handler=recorder)):

        async def nothing_left() -> bool:
            return await group_lag(bus_kafka, SERVICE, SOURCES[:2]) == 0

        await eventually(nothing_left)
        assert len(await records(bus_kafka, "segment.transcribed")) == 50


async def test_stopping_gives_a_failing_batch_back_to_the_log(bus_kafka: str) -> None:
    class Failing(Recorder):
        async def check(self, batch: Sequence[Recorded]) -> None:
            raise Transient("away", retry_after=60)

    failing, recorder, events = Failing(), Recorder(), mixed(10)
    await publish(bus_kafka, events)
    async with asyncio.timeout(60):
        async with running(bus_kafka, stage(failing)):

            async def tried() -> bool:
                return failing.calls > 0

            await eventually(tried)
        assert await group_lag(bus_kafka, SERVICE, SOURCES) == 20
        async with running(bus_kafka, stage(recorder)):
            await committed(bus_kafka)
    assert len(recorder.kept) == 20

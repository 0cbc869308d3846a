"""Mode `each` on real Kafka: what runs when, and what is committed."""

import asyncio
from collections import Counter, defaultdict
from uuid import uuid4

import pytest

from common.bus import Context, EachStage, subscription
from common.bus.producer import Outgoing, Producer, partition_of
from common.envelope import body, headers
from common.events import BlobRef, Event, JobControl, SegmentReady, SegmentTranscribed, StageProgress
from support.buskit import PARTITIONS, lag, publish, publish_raw, records, running, segment, transcribed
from support.waiting import eventually


async def test_a_slow_event_holds_nobody_back_and_is_not_passed_by_the_commit(bus_kafka: str) -> None:
    slow, go, done = segment("slow"), asyncio.Event(), list[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        if event.audio.name == "slow":
            await go.wait()
        done.append(event.audio.name)
        return [transcribed(event)]

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, concurrency=2)):
        await publish(bus_kafka, [slow, *(segment("quick") for _ in range(300))])
        await eventually(lambda: done.count("quick") == 300)
        # The others' partitions are committed whole; the slow one's partition only up to it.
        left = await lag(bus_kafka, slow.topic)
        assert left > 1, "some of the quick ones lie behind the slow one"
        go.set()

        async def all_committed() -> bool:
            return await lag(bus_kafka, slow.topic) == 0

        await eventually(all_committed)
    assert len(await records(bus_kafka, "segment.transcribed")) == 301


async def test_interactive_finds_a_slot_behind_a_backlog_of_bulk(bus_kafka: str) -> None:
    go, running_now, done = asyncio.Event(), Counter[str](), Counter[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        running_now[event.lane] += 1
        if event.lane == "bulk":
            await go.wait()
        done[event.lane] += 1
        return []

    await publish(bus_kafka, [segment(lane="bulk") for _ in range(50)])
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, concurrency=4)):
        await eventually(lambda: running_now["bulk"] == 3)
        await publish(bus_kafka, [segment() for _ in range(20)])
        await eventually(lambda: done["interactive"] == 20)
        assert running_now["bulk"] == 3
        go.set()
        await eventually(lambda: done["bulk"] == 50)


async def test_ordered_runs_one_of_a_key_at_a_time_and_a_slow_key_alone_waits(bus_kafka: str) -> None:
    jobs = [uuid4() for _ in range(20)]
    slow_job, go = jobs[0], asyncio.Event()
    seen, at_once = defaultdict[object, list[int]](list), Counter[object]()

    async def handler(event: SegmentTranscribed, _: Context) -> list[Event]:
        at_once[event.job_id] += 1
        assert at_once[event.job_id] == 1
        if event.job_id == slow_job:
            await go.wait()
        await asyncio.sleep(0)
        seen[event.job_id].append(event.index)
        at_once[event.job_id] -= 1
        return []

    await publish(bus_kafka, [transcribed(segment(job=job, index=index)) for index in range(30) for job in jobs])
    async with running(bus_kafka, EachStage(event=SegmentTranscribed, handler=handler, concurrency=4, ordered=True)):
        await eventually(lambda: sum(map(len, seen.values())) == 30 * 19)
        assert not seen[slow_job]
        go.set()
        await eventually(lambda: len(seen[slow_job]) == 30)
    assert all(order == list(range(30)) for order in seen.values())


async def test_events_of_cancelled_jobs_are_acknowledged_without_running(bus_kafka: str) -> None:
    before, during, live = uuid4(), uuid4(), uuid4()
    ran, go = Counter[object](), asyncio.Event()

    async def handler(event: SegmentReady, context: Context) -> list[Event]:
        ran[event.job_id] += 1
        if event.job_id == during:
            await go.wait()
            assert context.cancelled()
            return []
        assert not context.cancelled()
        return []

    def word(job: object, action: str) -> JobControl:
        return JobControl.model_validate({"job_id": job, "owner": "tester", "action": action})

    await publish(bus_kafka, [word(before, "delete"), *(segment(job=before, index=n) for n in range(10))])
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, concurrency=2)) as bus:
        await publish(bus_kafka, [segment(job=during), segment(job=live)])
        await eventually(lambda: bool(ran[during] and ran[live]))
        await publish(bus_kafka, [word(during, "cancel")])
        await asyncio.wait_for(bus.control.wait_cancelled(during), 20)
        assert not bus.control.deleted(during)
        assert bus.control.deleted(before)
        go.set()

        async def all_committed() -> bool:
            return await lag(bus_kafka, "segment.ready.interactive") == 0

        await eventually(all_committed)
    assert ran[before] == 0
    assert ran[during] == ran[live] == 1


async def test_one_event_delivered_twice_does_not_run_twice_at_once(bus_kafka: str) -> None:
    event, go, at_once, most = segment("twice"), asyncio.Event(), 0, 0
    ran = Counter[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        ran[event.audio.name] += 1
        if event.audio.name == "twice":
            await go.wait()
        at_once -= 1
        return []

    await publish(bus_kafka, [event, event, event])
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await eventually(lambda: ran["twice"] == 1)
        # More of the same partition is dealt with meanwhile, so the copies have had their turn.
        await publish(bus_kafka, [segment(job=event.job_id, index=number) for number in range(1, 200)])
        await eventually(lambda: ran[""] == 199)
        assert ran["twice"] == 1
        go.set()

        async def all_committed() -> bool:
            return await lag(bus_kafka, event.topic) == 0

        await eventually(all_committed)
    assert ran["twice"] == 1


async def test_the_trace_goes_on_from_input_to_outputs(bus_kafka: str) -> None:
    parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    async def handler(event: SegmentReady, context: Context) -> list[Event]:
        assert context.delivery == 1
        await context.publish(StageProgress(job_id=event.job_id, owner=event.owner, stage="transcriber", fraction=0.5))
        return [transcribed(event)]

    event = segment()
    attributes = headers(event, service="transcoder", traceparent=parent)
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await publish_raw(bus_kafka, [Outgoing(event.topic, event.key.encode(), body(event), attributes)])

        async def published() -> bool:
            return len(await records(bus_kafka, "segment.transcribed", "stage.progress")) == 2

        await eventually(published)
    found = await records(bus_kafka, "segment.transcribed", "stage.progress")
    for record in found:
        traceparent = dict(record.headers)["traceparent"]
        assert traceparent[:35] == parent[:35]
        assert traceparent[36:52] != parent[36:52]
        assert dict(record.headers)["ce_source"] == b"/scribewire/transcriber"


async def test_tombstones_pass_through(bus_kafka: str) -> None:
    done = list[str]()

    async def handler(event: SegmentTranscribed, _: Context) -> list[Event]:
        done.append(event.result.name)
        return []

    producer = Producer(bus_kafka, service="test")
    await producer.start()
    for _ in range(10):
        await producer.tombstone("segment.transcribed", str(uuid4()))
    await producer.publish(transcribed(segment("last")))
    await producer.stop()
    async with running(bus_kafka, EachStage(event=SegmentTranscribed, handler=handler)):

        async def all_committed() -> bool:
            return await lag(bus_kafka, "segment.transcribed") == 0

        await eventually(all_committed)
    assert done == ["last"]
    assert not await records(bus_kafka, "segment.transcribed.dead")


async def test_a_partition_with_too_much_behind_an_unfinished_event_pauses_alone(
    bus_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "SPAN", 600)
    slow, go, done = segment("slow"), asyncio.Event(), Counter[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        if event.audio.name == "slow":
            await go.wait()
        done[event.audio.name] += 1
        return []

    attributes = headers(slow, service="test")
    behind = [segment("behind") for _ in range(3000)]
    crowd = [Outgoing(slow.topic, b"one key", body(event), headers(event, service="test")) for event in behind]
    partitions = range(PARTITIONS)
    crowded = partition_of(b"one key", partitions, partitions)
    candidates = (segment("elsewhere") for _ in range(600))
    elsewhere = [one for one in candidates if partition_of(one.key.encode(), partitions, partitions) != crowded]
    await publish_raw(bus_kafka, [Outgoing(slow.topic, b"one key", body(slow), attributes)])
    producer = Producer(bus_kafka, service="test")
    await producer.start()
    under_way = [(record, await producer.send(record)) for record in crowd]
    for record, acknowledged in under_way:
        await producer.settle(record, acknowledged)
    await producer.publish_many(elsewhere)
    await producer.stop()
    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, concurrency=2)) as bus:
        await eventually(lambda: done["elsewhere"] == len(elsewhere))
        (work,) = [one for one in bus.subscriptions if one.topics == (slow.topic,)]
        await eventually(lambda: work.held >= 600 and work.full)
        assert done["behind"] < 3000, "the crowded partition is not read on"
        go.set()
        await eventually(lambda: done["behind"] == 3000)
        await eventually(lambda: not work.held)


async def test_an_output_too_large_for_a_record_fails_its_event_and_nothing_else(bus_kafka: str) -> None:
    done = list[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        done.append(event.audio.name)
        result = BlobRef(name="x" * (3_000_000 if event.audio.name == "large" else 3))
        return [SegmentTranscribed(job_id=event.job_id, owner=event.owner, index=0, count=1, result=result)]

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler)):
        await publish(bus_kafka, [segment("large"), *(segment("small") for _ in range(20))])

        async def all_committed() -> bool:
            return len(done) == 21 and await lag(bus_kafka, "segment.ready.interactive") == 0

        await eventually(all_committed)
    (dead,) = await records(bus_kafka, "segment.ready.interactive.dead")
    assert dict(dead.headers)["x-error-code"] == b"too_large"
    assert len(await records(bus_kafka, "segment.transcribed")) == 20

"""Events that fail: delayed retries, dead letters, and neighbours that notice nothing."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from common.bus import Context, EachStage
from common.bus.producer import Outgoing
from common.envelope import body, decode, headers
from common.errors import Permanent, Transient
from common.events import Event, SegmentReady, StageFailed
from support.buskit import SERVICE, group_lag, lag, publish, publish_raw, records, running, segment, transcribed
from support.waiting import eventually

TOPIC = "segment.ready.interactive"
RETRY_TOPICS = [f"{SERVICE}.retry.{name}" for name in ("10s", "1m", "10m")]

Handle = Callable[[SegmentReady, Context], Awaitable[list[Event]]]


def stage(handler: Handle, concurrency: int = 2) -> EachStage:
    return EachStage(event=SegmentReady, handler=handler, concurrency=concurrency)


async def committed(bootstrap: str) -> None:
    async def nothing_left() -> bool:
        return await lag(bootstrap, TOPIC) == 0 and await group_lag(bootstrap, f"{SERVICE}.retry", RETRY_TOPICS) == 0

    await eventually(nothing_left)


def attributes(record: Any) -> dict[str, bytes]:
    return dict(record.headers)


async def test_a_transient_failure_is_tried_again_later_and_holds_no_slot(bus_kafka: str) -> None:
    tries, quick = list[tuple[int, float]](), 0

    async def handler(event: SegmentReady, context: Context) -> list[Event]:
        nonlocal quick
        if event.audio.name != "flaky":
            quick += 1
            return []
        tries.append((context.delivery, time.monotonic()))
        if len(tries) < 3:
            raise Transient("the provider is busy")
        return [transcribed(event)]

    flaky = segment("flaky")
    async with running(bus_kafka, stage(handler, concurrency=1), retry_delays=(1.0, 2.0, 3.0), retry_limit=5):
        await publish(bus_kafka, [flaky, *(segment() for _ in range(50))])
        await eventually(lambda: quick == 50)
        assert len(tries) < 3, "fifty others were done in the only slot meanwhile"
        await eventually(lambda: len(tries) == 3)
        await committed(bus_kafka)
    assert [number for number, _ in tries] == [1, 2, 3]
    assert tries[1][1] - tries[0][1] > 0.6
    assert tries[2][1] - tries[1][1] > 1.2
    assert len(await records(bus_kafka, "segment.transcribed")) == 1
    assert not await records(bus_kafka, f"{TOPIC}.dead", "stage.failed")


async def test_retry_after_is_obeyed_and_a_long_one_goes_round_without_counting(bus_kafka: str) -> None:
    tries = list[tuple[int, float]]()

    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        tries.append((context.delivery, time.monotonic()))
        if len(tries) == 1:
            raise Transient("come back later", retry_after=2.5)
        return []

    # The longest topic holds for a second, so two and a half seconds are three rounds.
    async with running(bus_kafka, stage(handler), retry_delays=(0.2, 0.5, 1.0)):
        await publish(bus_kafka, [segment()])
        await eventually(lambda: len(tries) == 2)
        await committed(bus_kafka)
    assert [number for number, _ in tries] == [1, 2]
    assert 2.5 <= tries[1][1] - tries[0][1] < 6
    rounds = await records(bus_kafka, RETRY_TOPICS[2])
    assert len(rounds) >= 2


async def test_a_retry_outlives_a_restart(bus_kafka: str) -> None:
    seen = list[int]()

    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        seen.append(context.delivery)
        if context.delivery == 1:
            raise Transient("busy", retry_after=2.0)
        return []

    async with running(bus_kafka, stage(handler)):
        await publish(bus_kafka, [segment()])
        await eventually(lambda: seen == [1])

        async def delayed() -> bool:
            return len(await records(bus_kafka, *RETRY_TOPICS)) == 1

        await eventually(delayed)
    assert seen == [1]
    async with running(bus_kafka, stage(handler)):
        await eventually(lambda: seen == [1, 2])
        await committed(bus_kafka)


async def test_used_up_retries_end_as_a_dead_letter_with_the_original_and_its_history(bus_kafka: str) -> None:
    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        if context.delivery == 1:
            raise RuntimeError("details that users should not see")
        raise Transient(f"the provider said 503 ({context.delivery})", code="provider_down")

    event = segment("original", index=7)
    original = [
        *headers(event, service="transcoder"),
        ("x-vendor", b"kept? no: ours begin with x-"),
        ("other", b"\xff"),
    ]
    async with running(bus_kafka, stage(handler), retry_limit=3, retry_delays=(0.1, 0.1, 0.1)):
        await publish_raw(bus_kafka, [Outgoing(event.topic, event.key.encode(), body(event), original)])

        async def failed() -> bool:
            return bool(await records(bus_kafka, "stage.failed"))

        await eventually(failed)
        await committed(bus_kafka)
    (dead,) = await records(bus_kafka, f"{TOPIC}.dead")
    assert (dead.key, dead.value) == (event.key.encode(), body(event))
    assert [pair for pair in dead.headers if not pair[0].startswith("x-")] == [
        pair for pair in original if not pair[0].startswith("x-")
    ]
    marks = attributes(dead)
    assert marks["x-attempts"] == b"3"
    assert marks["x-stage"] == b"transcriber"
    assert marks["x-origin"] == TOPIC.encode()
    assert marks["x-error-class"] == b"Transient"
    assert marks["x-error-code"] == b"provider_down"
    history = [value.decode() for name, value in dead.headers if name == "x-error"]
    assert [line.split()[1] for line in history] == ["1", "2", "3"]
    assert "RuntimeError internal" in history[0]
    assert "details" not in history[0]
    assert "503 (3)" in history[2]
    (record,) = await records(bus_kafka, "stage.failed")
    said = decode(record.value, record.headers)
    assert isinstance(said, StageFailed)
    assert (said.job_id, said.failed_part, said.stage, said.delivery_attempts) == (event.job_id, "7", "transcriber", 3)
    assert (said.error.code, said.error.message) == ("provider_down", "the provider said 503 (3)")


async def test_a_permanent_failure_is_not_tried_again(bus_kafka: str) -> None:
    tries = Counter[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        tries[event.audio.name] += 1
        raise Permanent("no_audio", "The file holds no audio.")

    async with running(bus_kafka, stage(handler)):
        await publish(bus_kafka, [segment("bad")])
        await committed_after_dead(bus_kafka)
    assert tries["bad"] == 1
    (record,) = await records(bus_kafka, "stage.failed")
    said = decode(record.value, record.headers)
    assert isinstance(said, StageFailed)
    assert said.error.message == "The file holds no audio."
    assert not await records(bus_kafka, *RETRY_TOPICS)


async def committed_after_dead(bootstrap: str) -> None:
    async def buried() -> bool:
        return bool(await records(bootstrap, f"{TOPIC}.dead"))

    await eventually(buried)
    await committed(bootstrap)


async def test_records_that_are_no_events_harm_no_neighbour_in_their_batch(bus_kafka: str) -> None:
    done = list[int]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        done.append(event.index)
        return []

    good = [segment(index=number) for number in range(100)]
    outgoing = [Outgoing(TOPIC, b"one key", body(event), headers(event, service="transcoder")) for event in good]
    sample = outgoing[0]
    bad = [
        sample._replace(value=b"{not json"),
        sample._replace(value=b"\xff\xfe\x00"),
        sample._replace(value=b"{}"),
        sample._replace(headers=[]),
        sample._replace(headers=[(name, b"\xff\xff") for name, _ in sample.headers]),
        sample._replace(
            headers=[("ce_type", b"from.the.future") if pair[0] == "ce_type" else pair for pair in sample.headers]
        ),
        sample._replace(value=b"x" * 1_000_000),
    ]
    mixed = [*outgoing]
    for number, record in enumerate(bad):
        mixed.insert(number * 13, record)
    async with running(bus_kafka, stage(handler)):
        await publish_raw(bus_kafka, mixed)
        await eventually(lambda: len(done) == 100)
        await committed(bus_kafka)
    assert sorted(done) == list(range(100))
    dead = await records(bus_kafka, f"{TOPIC}.dead")
    assert Counter((record.value, len(record.value)) for record in dead) == Counter(
        (record.value, len(record.value or b"")) for record in bad
    )
    assert all(attributes(record)["x-error-code"] == b"undecodable" for record in dead)
    assert not await records(bus_kafka, "stage.failed")


async def test_another_services_retry_does_not_count_as_ours(bus_kafka: str) -> None:
    seen = list[int]()

    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        seen.append(context.delivery)
        return []

    event = segment()
    marked = [*headers(event, service="transcoder"), ("x-attempt", b"somebody 7")]
    async with running(bus_kafka, stage(handler)):
        await publish_raw(bus_kafka, [Outgoing(event.topic, event.key.encode(), body(event), marked)])
        await eventually(lambda: bool(seen))
    assert seen == [1]

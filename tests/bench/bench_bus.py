"""Bench A1: what the bus costs an event, beside bare aiokafka in batches and beside FastStream per message.

Every contender does the same for each event: decode and validate, call a handler that makes one output event, publish
that keyed with the same headers and bytes (idempotent, acks=all), commit at least once. They take turns in one process
on one broker; a ratio is of one round, so that a slow moment of the machine falls on both. Run by ``make bench``.
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from common.bus import Context, EachStage
from common.bus.producer import Producer
from common.bus.runtime import Bus
from common.envelope import body, decode, headers
from common.events import BlobRef, SegmentTranscribed, StageProgress
from common.settings import CommonSettings
from support.bench import Result, record, result
from support.platform import running_kafka

PARTITIONS = 6
SERVICE = "transcriber"
SOURCE = SegmentTranscribed.type
SINK = StageProgress.type
SLOW_SOURCE = "bench.slow"


@dataclass(frozen=True)
class Run:
    """One contender's turn: events per second of wall time, and microseconds of this process's CPU per event."""

    per_second: float
    cpu_us: float


class Clock:
    """Measures from the first event to `stop`."""

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self.count = 0

    def tick(self) -> None:
        """Count one event."""
        if self.count == 0:
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.count += 1

    def stop(self) -> Run:
        """What was measured."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Run(self.count / wall, cpu / self.count * 1e6)


def output(event: SegmentTranscribed) -> StageProgress:
    """The handler's work: one event from one event."""
    return StageProgress(job_id=event.job_id, owner=event.owner, stage="transcriber", fraction=1.0)


async def ours(bootstrap: str, count: int) -> Run:
    """One `EachStage` on the bus."""
    clock, handled = Clock(), asyncio.Event()

    async def handler(event: SegmentTranscribed, _: Context) -> list[StageProgress]:
        clock.tick()
        if clock.count == count:
            handled.set()
        return [output(event)]

    await forget_group(bootstrap, f"{SERVICE}.{SOURCE}")
    stage = EachStage(event=SegmentTranscribed, handler=handler)
    bus = Bus(SERVICE, CommonSettings(kafka=bootstrap), [stage])
    await bus.start()
    await handled.wait()
    while any(subscription.held for subscription in bus.subscriptions):
        await asyncio.sleep(0.001)
        for subscription in bus.subscriptions:
            await subscription.commit()
    run = clock.stop()
    await bus.stop()
    return run


async def bare(bootstrap: str, count: int) -> Run:
    """Aiokafka as one would write it for speed: `getmany(500)`, sends gathered, one commit for each batch."""
    clock = Clock()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=262_144)
    consumer = AIOKafkaConsumer(
        SOURCE,
        bootstrap_servers=bootstrap,
        group_id=f"bare-{uuid.uuid4().hex}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await producer.start()
    await consumer.start()

    async def publish(made: StageProgress) -> None:
        attributes = headers(made, service=SERVICE)
        await producer.send_and_wait(made.topic, body(made), made.key.encode(), headers=attributes)

    while clock.count < count:
        outputs = []
        for records in (await consumer.getmany(timeout_ms=1000, max_records=500)).values():
            for found in records:
                clock.tick()
                event = decode(found.value, found.headers)
                assert isinstance(event, SegmentTranscribed)
                outputs.append(output(event))
        await asyncio.gather(*map(publish, outputs))
        await consumer.commit()
    run = clock.stop()
    await consumer.stop()
    await producer.stop()
    return run


async def faststream(bootstrap: str, count: int) -> Run:
    """FastStream as its documentation shows it, at least once: a subscriber per message with `AckPolicy.ACK`."""
    clock, handled = Clock(), asyncio.Event()
    broker = KafkaBroker(bootstrap, logger=None, enable_idempotence=True, acks="all")

    @broker.subscriber(
        SLOW_SOURCE, group_id=f"faststream-{uuid.uuid4().hex}", ack_policy=AckPolicy.ACK, auto_offset_reset="earliest"
    )
    async def handle(event: SegmentTranscribed) -> None:
        clock.tick()
        made = output(event)
        attributes = {name: value.decode() for name, value in headers(made, service=SERVICE)}
        await broker.publish(body(made), made.topic, key=made.key.encode(), headers=attributes)
        if clock.count == count:
            handled.set()

    await broker.start()
    await handled.wait()
    run = clock.stop()
    await broker.stop()
    return run


async def prepare(bootstrap: str, count: int, slow: int) -> None:
    """Topics, and the events that every contender consumes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = [SOURCE, SINK, SLOW_SOURCE, "job.control", *(f"{SERVICE}.retry.{name}" for name in ("10s", "1m", "10m"))]
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    producer = Producer(bootstrap, service=SERVICE)
    await producer.start()
    result = BlobRef(name=f"users/operator/transcripts/{uuid.uuid4()}/segments/00000.json", size=4096)
    made = (
        SegmentTranscribed(job_id=uuid.uuid4(), owner="operator", index=0, count=1, result=result) for _ in range(count)
    )
    await producer.publish_many(made)
    for _ in range(slow):
        event = SegmentTranscribed(job_id=uuid.uuid4(), owner="operator", index=0, count=1, result=result)
        out = producer.outgoing(event)
        await (await producer.send(out._replace(topic=SLOW_SOURCE)))
    await producer.stop()


async def forget_group(bootstrap: str, group: str) -> None:
    """Let a group of a fixed name begin at the start again."""
    consumer = AIOKafkaConsumer(SOURCE, bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    while not consumer.assignment():
        await asyncio.sleep(0.01)
    await consumer.commit(dict.fromkeys(consumer.assignment(), 0))
    await consumer.stop()


async def compare(bootstrap: str, *, count: int, slow: int, rounds: int) -> list[Result]:
    """Let the contenders take turns; the figures go to standard output, the ratios are returned."""
    await prepare(bootstrap, count, slow)
    contenders: dict[str, tuple[Callable[[str, int], Awaitable[Run]], int]] = {
        "bus": (ours, count),
        "aiokafka": (bare, count),
        "faststream": (faststream, slow),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, (contender, events) in contenders.items():
            run = await contender(bootstrap, events)
            runs[name].append(run)
            figures = f"{run.per_second:>9,.0f} events/s  {run.cpu_us:>7.1f} µs CPU/event"
            print(f"round {number + 1}  {name:<11} {figures}", flush=True)
    batches, messages = "bare aiokafka, batches of 500", "FastStream per message, ACK"
    return [
        result("bus: events per second", batches, ratios(runs["bus"], runs["aiokafka"]), aim=0.8),
        result("bus: CPU per event", batches, costs(runs["bus"], runs["aiokafka"]), aim=1.25, at_most=True),
        result("bus: events per second", messages, ratios(runs["bus"], runs["faststream"]), aim=30.0),
    ]


def ratios(ours_: list[Run], peers: list[Run]) -> list[float]:
    """How many times the peer's events per second, by round."""
    return [mine.per_second / peer.per_second for mine, peer in zip(ours_, peers, strict=True)]


def costs(ours_: list[Run], peers: list[Run]) -> list[float]:
    """How many times the peer's CPU per event, by round; steadier than wall time on a busy machine."""
    return [mine.cpu_us / peer.cpu_us for mine, peer in zip(ours_, peers, strict=True)]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60_000, help="events a turn")
    parser.add_argument("--slow", type=int, default=1_000, help="events a turn of FastStream per message")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--kafka", help="bootstrap of a running broker; by default one is started")
    arguments = parser.parse_args()
    sizes = {"count": arguments.count, "slow": arguments.slow, "rounds": arguments.rounds}
    if arguments.kafka:
        results = asyncio.run(compare(arguments.kafka, **sizes))
    else:
        with running_kafka() as kafka:
            results = asyncio.run(compare(kafka.bootstrap, **sizes))
    for one in results:
        print(one)
    record(arguments.output, results)
    return 0 if all(one.met for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())

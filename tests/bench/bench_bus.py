"""Bench A1: what the bus costs an event, beside bare aiokafka in batches and beside FastStream per message.

Every contender does the same for each event: decode and validate, call a handler that makes one output event, publish
that keyed with the same headers and bytes (idempotent, acks=all), commit at least once. They take turns in one process
on one broker; a ratio is of one round, so that a slow moment of the machine falls on both. Run by ``make bench``.
"""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from statistics import median

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from common.bus.producer import Producer
from common.envelope import body, decode, headers
from common.events import SegmentTranscribed, StageProgress
from common.service import calm_collector
from support.bench import Result, arguments, result, told
from support.platform import running_kafka
from support.stage_turns import SERVICE, SOURCE, Clock, Run, ours, output, prepare, source

SLOW_SOURCE = "bench.slow"


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


async def slow_source(bootstrap: str, count: int) -> None:
    """What FastStream consumes: fewer of the same events, on a topic of their own."""
    producer = Producer(bootstrap, service=SERVICE)
    await producer.start()
    for _ in range(count):
        await producer.deliver(producer.outgoing(source(uuid.uuid4()))._replace(topic=SLOW_SOURCE))
    await producer.stop()


async def compare(bootstrap: str, *, count: int, slow: int, rounds: int) -> list[Result]:
    """Let the contenders take turns; the figures go to standard output, the ratios are returned."""
    await prepare(bootstrap, (source(uuid.uuid4()) for _ in range(count)), SLOW_SOURCE)
    await slow_source(bootstrap, slow)
    calm_collector()
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
            print(f"round {number + 1}  {name:<11} {run}", flush=True)
    bus, batches, messages = runs["bus"], runs["aiokafka"], runs["faststream"]
    name = "A1 events per second, one stage"
    return [
        result(
            name,
            "bare aiokafka, batches of 500",
            ratios(bus, batches),
            aim=0.8,
            cpu=costs(bus, batches),
            figures=figures(bus, batches),
        ),
        result(
            name,
            "FastStream per message, ACK",
            ratios(bus, messages),
            aim=30.0,
            cpu=costs(bus, messages),
            figures=figures(bus, messages),
        ),
    ]


def figures(*contenders: list[Run]) -> str:
    """The medians behind a ratio."""
    return " · ".join(
        f"{median(run.per_second for run in runs):,.0f} events/s at {median(run.cpu_us for run in runs):.1f} µs CPU"
        for runs in contenders
    )


def ratios(ours_: list[Run], peers: list[Run]) -> list[float]:
    """How many times the peer's events per second, by round."""
    return [mine.per_second / peer.per_second for mine, peer in zip(ours_, peers, strict=True)]


def costs(ours_: list[Run], peers: list[Run]) -> list[float]:
    """How many times the peer's CPU per event, by round; steadier than wall time on a busy machine."""
    return [mine.cpu_us / peer.cpu_us for mine, peer in zip(ours_, peers, strict=True)]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=40_000, help="events a turn")
    parser.add_argument("--slow", type=int, default=1_000, help="events a turn of FastStream per message")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kafka", help="bootstrap of a running broker; by default one is started")
    given = parser.parse_args()
    sizes = {"count": given.count, "slow": given.slow, "rounds": given.rounds}
    if given.kafka:
        results = asyncio.run(compare(given.kafka, **sizes))
    else:
        with running_kafka() as kafka:
            results = asyncio.run(compare(kafka.bootstrap, **sizes))
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

"""R9: while Kafka is down uploads say so and keep their bytes; nothing accepted is lost, it catches up by itself."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.linked import Linked, linked
from support.promises import FULL, SEED, Tally, scenario
from support.submits import Submits
from support.thread_loop import ThreadLoop

PER_SECOND = 20 if FULL else 8
DOWN = 120.0 if FULL else 8.0
AROUND = 10.0 if FULL else 3.0
"""Seconds of submits before the outage and after it."""
PATIENCE = 1200 if FULL else 90


@pytest.fixture(scope="module")
def platform() -> Iterator[Linked]:
    loop = ThreadLoop()
    env = {
        "SCRIBEWIRE_RETRY_DELAYS": "[1, 5, 20]",
        "SCRIBEWIRE_WEBHOOK_TIME_SCALE": "0.01",
        "SCRIBEWIRE_LEASE_TTL": "6",
        **({} if FULL else {"SCRIBEWIRE_PUBLISH_SECONDS": "2"}),
    }
    with linked(loop, env, azure=False) as up:
        yield up
    loop.close()


def under_submits(platform: Linked, name: str, trouble: Callable[[], None], tally: Tally, *, seconds: float) -> Submits:
    """Submit at the promise's rate, have the trouble in the midst of it, and check all that the promise says."""
    submits = platform.submits(name, seed=SEED + sum(name.encode()))
    jobs = int(PER_SECOND * (seconds + 2 * AROUND))
    submitting = platform.loop.start(submits.run(jobs, every=1 / PER_SECOND))
    time.sleep(AROUND)
    assert submits.accepted, "nothing was accepted before the trouble"
    trouble()
    submitting.result(PATIENCE)
    history = platform.settled(submits, seconds=PATIENCE)
    platform.caught_up(seconds=60)
    refused = submits.answers(503)
    assert all(attempt.retry_after for attempt in refused), "a 503 without Retry-After"
    # `settled` found no job that was not accepted: so every 503 repeated with its key became one job, not two.
    assert len(set(submits.accepted.values())) == jobs == len(submits.accepted)
    tally.faults += 1
    tally.redelivered = history.redelivered
    tally.paid_twice = platform.paid_twice()
    tally.figures |= {
        "jobs": jobs,
        "answers 503": len(refused),
        "repeated with their keys": len({attempt.key for attempt in refused}),
        "slowest answer": round(max(attempt.ended - attempt.began for attempt in submits.attempts), 1),
    }
    return submits


def test_kafka_is_down(platform: Linked) -> None:
    def down() -> None:
        platform.kafka.stop()
        time.sleep(DOWN)
        platform.kafka.start()

    with scenario("R9", f"Kafka down for {DOWN:.0f} s under {PER_SECOND} submits/s") as tally:
        submits = under_submits(platform, "r9-down", down, tally, seconds=DOWN)
        assert submits.answers(503), "no upload met the outage, so the run proves nothing"
        bytes_kept = {attempt.key for attempt in submits.answers(503)}
        assert bytes_kept <= submits.accepted.keys()


def test_kafka_is_killed_and_finds_its_log_unclean(platform: Linked) -> None:
    spoiled: list[Path] = []

    def crash() -> None:
        for _ in range(3 if FULL else 1):
            platform.kafka.kill()
            spoiled.extend(spoil(platform.kafka.folder / "data"))
            platform.kafka.start()
            time.sleep(2.0)

    with scenario("R9", "broker killed under load, logs with broken tails") as tally:
        under_submits(platform, "r9-killed", crash, tally, seconds=30.0 if FULL else 3.0)
        assert spoiled, "no log was spoiled, so the run proves nothing"
        tally.faults += len(spoiled)
        tally.figures["broken tails"] = len(spoiled)


def spoil(data: Path) -> list[Path]:
    """Leave half a batch, or what no batch is, at the end of partitions' newest segments, as a crash in a write may."""
    chance = random.Random(SEED)
    found = []
    for partition in sorted(data.glob("segment.*-*")) + sorted(data.glob("upload.*-*")):
        newest = max(partition.glob("*.log"))
        content = newest.read_bytes()
        if not content or "retry" in partition.name:
            continue
        with newest.open("ab") as log:
            log.write(content[:40] if chance.random() < 0.5 else chance.randbytes(200))
            os.fsync(log.fileno())
        found.append(newest)
    return found

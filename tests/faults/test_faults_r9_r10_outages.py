"""R9 and R10: while Kafka or PostgreSQL is away nothing accepted is lost, and all catches up by itself."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.linked import Linked, linked
from support.promises import FULL, SEED, Tally, scenario
from support.submits import Submits
from support.thread_loop import ThreadLoop
from support.verdict import billed_milliseconds

PER_SECOND = 20 if FULL else 8
KAFKA_DOWN = 120.0 if FULL else 8.0
AROUND = 10.0 if FULL else 3.0
"""Seconds of submits before an outage of Kafka and after it."""
JOBS = 1_000 if FULL else 40
RESTARTS = 10 if FULL else 2
POSTGRES_DOWN = 2.0
PATIENCE = 1200 if FULL else 90
SLOWEST = 10.0
"""Seconds after which an upload must be answered, whatever PostgreSQL does."""


@pytest.fixture(scope="module")
def platform() -> Iterator[Linked]:
    loop = ThreadLoop()
    env = {
        "SCRIBEWIRE_RETRY_DELAYS": "[1, 5, 20]",
        "SCRIBEWIRE_WEBHOOK_TIME_SCALE": "0.01",
        "SCRIBEWIRE_LEASE_TTL": "6",
        # A short outage meets uploads only if they do not wait for its end.
        **({} if FULL else {"SCRIBEWIRE_PUBLISH_SECONDS": "2"}),
    }
    with linked(loop, env, azure=False) as up:
        yield up
    loop.close()


def settle(platform: Linked, submits: Submits, tally: Tally, *, paid: int) -> None:
    """Wait until all has ended, check it, and tally what was seen; ``paid`` is what was paid twice before."""
    history = platform.settled(submits, tally, seconds=PATIENCE)
    platform.caught_up(seconds=60)
    tally.paid_twice = platform.paid_twice() - paid
    assert not tally.paid_twice, "no payer died, so nothing may be paid for twice"
    rows, heard = billed_milliseconds(replace(history, calls=platform.engine.calls))
    assert rows == heard, f"billed {rows} ms, heard {heard} ms"
    tally.figures |= {
        "jobs": len(submits.accepted),
        "answers 503": len(submits.answers(503)),
        "slowest answer": round(max(attempt.ended - attempt.began for attempt in submits.attempts), 1),
    }


def without_kafka(platform: Linked, name: str, trouble: Callable[[], None], tally: Tally, *, seconds: float) -> None:
    """Submit at the promise's rate, have the trouble in the midst of it, and check all that the promise says."""
    submits, paid = platform.submits(name, seed=SEED + sum(name.encode())), platform.paid_twice()
    jobs = int(PER_SECOND * (seconds + 2 * AROUND))
    submitting = platform.loop.start(submits.run(jobs, every=1 / PER_SECOND))
    time.sleep(AROUND)
    trouble()
    submitting.result(PATIENCE)
    settle(platform, submits, tally, paid=paid)
    refused = submits.answers(503)
    assert refused, "no upload met the outage, so the run proves nothing"
    assert all(attempt.retry_after for attempt in refused), "a 503 without Retry-After"
    # `settled` found no job that was not accepted: every 503 that was repeated with its key became one job, not two.
    assert len(set(submits.accepted.values())) == len(submits.accepted) == jobs
    tally.faults += 1
    tally.figures["repeated with their keys"] = len({attempt.key for attempt in refused})


def test_kafka_is_down(platform: Linked) -> None:
    def down() -> None:
        platform.kafka.stop()
        time.sleep(KAFKA_DOWN)
        platform.kafka.start()

    with (
        scenario("R9", f"Kafka down for {KAFKA_DOWN:.0f} s under {PER_SECOND} submits/s") as tally,
        platform.explained(),
    ):
        without_kafka(platform, "r9-down", down, tally, seconds=KAFKA_DOWN)


def test_kafka_is_killed_and_finds_its_log_unclean(platform: Linked) -> None:
    spoiled: list[Path] = []

    def crash() -> None:
        for _ in range(3 if FULL else 1):
            platform.kafka.kill()
            spoiled.extend(spoil(platform.kafka.folder / "data"))
            time.sleep(2.5)
            platform.kafka.start()

    with scenario("R9", "Kafka killed under load, its logs with broken tails") as tally, platform.explained():
        without_kafka(platform, "r9-killed", crash, tally, seconds=30.0 if FULL else 2.0)
        assert spoiled, "no log was spoiled, so the run proves nothing"
        tally.faults += len(spoiled)
        tally.figures["broken tails"] = len(spoiled)


def spoil(data: Path) -> list[Path]:
    """Leave half a batch, or what is no batch, at the end of partitions' newest segments, as a crash in a write may."""
    chance = random.Random(SEED)
    found = []
    for partition in sorted([*data.glob("segment.*-*"), *data.glob("upload.*-*"), *data.glob("usage.*-*")]):
        newest = max(partition.glob("*.log"))
        content = newest.read_bytes()
        if content:
            with newest.open("ab") as log:
                log.write(content[:40] if chance.random() < 0.5 else chance.randbytes(200))
                os.fsync(log.fileno())
            found.append(newest)
    return found


def restart(platform: Linked, submits: Submits, *, immediate: bool) -> tuple[float, float]:
    """Stop PostgreSQL in fast mode, or in immediate mode, which is a crash; start it again. When it was away."""
    began = time.time()
    if immediate:
        assert platform.postgres.pid is not None
        os.kill(platform.postgres.pid, signal.SIGQUIT)
        assert platform.postgres.wait(20) is not None
    else:
        platform.postgres.stop()
    time.sleep(POSTGRES_DOWN)
    keys = list(submits.accepted)[-3:]
    again = platform.loop.run(submits.again(keys))
    assert [answer.job for answer in again] == [submits.accepted[key] for key in keys], again
    platform.postgres.start()
    return began, time.time()


def test_postgres_restarts_are_hardly_noticed(platform: Linked) -> None:
    with scenario("R10", f"{RESTARTS} restarts of PostgreSQL during {JOBS} jobs") as tally, platform.explained():
        submits, paid = platform.submits("r10", seed=SEED), platform.paid_twice()
        away: list[tuple[float, float]] = []
        every = RESTARTS * (POSTGRES_DOWN + 4.0) / JOBS
        submitting = platform.loop.start(submits.run(JOBS, every=every, more=lambda: len(away) < RESTARTS))
        for number in range(RESTARTS):
            time.sleep(2.0)
            before = len(submits.accepted)
            away.append(restart(platform, submits, immediate=number % 2 == 1))
            if submitting.done():
                submitting.result()  # says what ended it
            assert len(submits.accepted) > before, "no upload was taken while PostgreSQL was away"
            tally.faults += 1
        submitting.result(PATIENCE)
        settle(platform, submits, tally, paid=paid)
        refused = {attempt.status for attempt in submits.attempts} - {202}
        assert not refused, f"uploads do not need PostgreSQL, but were answered {refused}"
        assert float(tally.figures["slowest answer"]) < SLOWEST
        met = [one for one in submits.attempts if any(one.began < end and one.ended > begin for begin, end in away)]
        tally.figures["accepted while it was away"] = len(met)

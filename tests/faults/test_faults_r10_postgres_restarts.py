"""R10: PostgreSQL restarts under load; the pipeline runs on, submits are taken, and the rows follow."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from support.linked import Linked, linked
from support.promises import FULL, SEED, scenario
from support.submits import Submits
from support.thread_loop import ThreadLoop

JOBS = 1_000 if FULL else 40
RESTARTS = 10 if FULL else 2
DOWN = 2.0
SLOWEST = 10.0
"""Seconds after which an upload must be answered, whatever PostgreSQL does."""


@pytest.fixture(scope="module")
def platform() -> Iterator[Linked]:
    loop = ThreadLoop()
    env = {
        "SCRIBEWIRE_RETRY_DELAYS": "[1, 5, 20]",
        "SCRIBEWIRE_WEBHOOK_TIME_SCALE": "0.01",
        "SCRIBEWIRE_LEASE_TTL": "6",
    }
    with linked(loop, env, azure=False) as up:
        yield up
    loop.close()


def restart(platform: Linked, submits: Submits, *, immediate: bool) -> tuple[float, float]:
    """Stop it in fast mode, or in immediate mode, which is a crash; start it after a while. When it was away."""
    began = time.time()
    if immediate:
        assert platform.postgres.pid is not None
        os.kill(platform.postgres.pid, signal.SIGQUIT)
        assert platform.postgres.wait(20) is not None
    else:
        platform.postgres.stop()
    time.sleep(DOWN)
    keys = list(submits.accepted)[-3:]
    again = platform.loop.run(submits.again(keys))
    assert [answer.job for answer in again] == [submits.accepted[key] for key in keys], again
    platform.postgres.start()
    return began, time.time()


def test_restarts_of_postgres_are_hardly_noticed(platform: Linked) -> None:
    with scenario("R10", f"{RESTARTS} restarts of PostgreSQL during {JOBS} jobs") as tally:
        submits = platform.submits("r10", seed=SEED)
        every = RESTARTS * (DOWN + 4.0) / JOBS
        submitting = platform.loop.start(submits.run(JOBS, every=every))
        away = []
        for number in range(RESTARTS):
            time.sleep(2.0)
            before = len(submits.accepted)
            away.append(restart(platform, submits, immediate=number % 2 == 1))
            assert len(submits.accepted) > before, "no upload was taken while PostgreSQL was away"
            tally.faults += 1
        submitting.result(600)
        history = platform.settled(submits, seconds=900 if FULL else 90)
        platform.caught_up(seconds=60)

        met = [a for a in submits.attempts if any(a.ended > since and a.began < until for since, until in away)]
        assert met, "no upload met a restart, so the run proves nothing"
        refused = {attempt.status for attempt in submits.attempts} - {202}
        assert not refused, f"uploads do not need PostgreSQL, but were answered {refused}"
        slowest = max(attempt.ended - attempt.began for attempt in submits.attempts)
        assert slowest < SLOWEST

        keys = [attempt.key for attempt in met][:: max(1, len(met) // 20)]
        again = platform.loop.run(submits.again(keys))
        assert [answer.job for answer in again] == [submits.accepted[key] for key in keys]
        tally.redelivered, tally.paid_twice = history.redelivered, platform.paid_twice()
        tally.figures |= {
            "jobs": JOBS,
            "accepted while it was away": len(met),
            "slowest answer": round(slowest, 1),
        }

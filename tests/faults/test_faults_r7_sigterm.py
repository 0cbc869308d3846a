"""R7: SIGTERM under load: out with 0 within the grace, all that is finished committed, at most the rest comes again."""

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor

from scribewire_local.parts import SERVICES
from support.fleet import Life
from support.flow import inside, items
from support.lag import behind
from support.promises import FULL, SEED, scenario
from support.trial import Trial
from support.waiting import until

TIMES = 50 if FULL else 2
EVERY = 0.25 if FULL else 0.1
SLOW = (0.3, 0.8)
"""Seconds a call of the provider takes: a transcriber always has some before it when it is told to stop."""
STAGES = {"transcoder": ["transcode"], "transcriber": ["recognise", "assemble"], "recorder": ["record"]}
GRACE = 30.0
"""Seconds after which Kubernetes kills what was told to stop, unless it is told otherwise."""


def test_a_stop_finishes_what_it_has_and_leaves_no_trace(trial: Trial) -> None:
    fleet = trial.fleet
    pace = random.Random(SEED)
    trial.engine.latency = lambda _call: pace.uniform(*SLOW)

    def stop_often(service: str) -> list[Life]:
        chance, stopped = random.Random(f"{SEED} {service}"), []
        for _ in range(TIMES):
            time.sleep(chance.uniform(0.2, 1.5))
            stopped.append(fleet.terminate(f"{service}-1"))
            fleet.back(stopped[-1])
        return stopped

    with (
        scenario("R7", "every service told to stop under load") as tally,
        trial.endless("r7", most=20, seed=SEED + 3, every=EVERY) as load,
        ThreadPoolExecutor(len(SERVICES)) as pool,
    ):
        stops = [life for stopped in pool.map(stop_often, SERVICES) for life in stopped]
        load.enough()
        trial.wait_ended(load, seconds=600)
        history = trial.judge(tally, load)
        tally.faults = len(stops)
        took = sorted(life.ended - life.told_at for life in stops if life.ended and life.told_at)
        tally.figures |= {
            "slowest exit s": round(took[-1], 2),
            "median exit s": round(took[len(took) // 2], 2),
            "webhooks again": history.delivered_again,
        }
        assert len(took) == TIMES * len(SERVICES)
        assert {life.code for life in stops} == {0}
        assert took[-1] <= GRACE
        until(lambda: not asyncio.run(behind(fleet.kafka)), seconds=30, why="everything finished is committed")
        found = items(history.log)
        in_flight = sum(inside(found, STAGES.get(life.service, ()), life.told_at or 0.0) for life in stops)
        again = ", ".join(f"{number} {kind}" for kind, number in history.repeated().items())
        tally.figures |= {"in flight at the stops": in_flight, "published again": again or "nothing"}
        assert in_flight >= len(stops) // 2, "hardly anything was in work at the stops, so the run proves nothing"
        assert tally.redelivered <= in_flight, history.repeated()
        assert tally.paid_twice == 0

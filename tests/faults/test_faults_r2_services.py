"""R2: every job ends exactly once and is billed once, whichever service is killed while it works."""

import random
import time
from collections import Counter

from scribewire_local.parts import SERVICES
from support.promises import FULL, SEED, scenario
from support.trial import Trial
from support.waiting import until

JOBS = 2_000 if FULL else 110
EVERY = 0.1 if FULL else 0.08
PAUSE = (2.0, 5.0) if FULL else (1.0, 3.0)
LIMIT = 2_400
BUSY = 1 if FULL else 4
TAIL = 100 if FULL else 0
"""Jobs of which the last may all be waiting for a retry, so that none is being heard."""
REDELIVERED = 100 if FULL else 3


def test_every_job_ends_once_whoever_is_killed(trial: Trial) -> None:
    chance = random.Random(SEED)
    trial.engine.latency = lambda _call: chance.uniform(0.0, 1.0)
    killed: Counter[str] = Counter()

    def may_be_killed() -> bool:
        return bool(trial.busiest(least=BUSY)) or (not trial.in_flight() and trial.ended() >= JOBS - TAIL)

    with (
        scenario("R2", "a random service killed every few seconds") as tally,
        trial.load("r2", JOBS, seed=SEED + 1, every=EVERY) as load,
    ):
        limit = time.monotonic() + LIMIT
        # What has not ended by the limit is a loss, which the judgement counts.
        while time.monotonic() < limit and (trial.ended() < JOBS if FULL else killed.total() < len(SERVICES)):
            time.sleep(chance.uniform(*PAUSE))
            rarest = min(killed[service] for service in SERVICES)
            # At random, but nobody twice more often than another: each has its part in a short run, too.
            service = chance.choice([one for one in SERVICES if killed[one] <= rarest + (1 if FULL else 0)])
            if service == "transcriber":
                until(may_be_killed, seconds=60, every=0.01, why="the provider is busy")
            trial.fleet.kill(f"{service}-1")
            killed[service] += 1
        trial.wait_ended(load, seconds=900)
        trial.judge(tally, load)
        tally.faults = killed.total()
        tally.figures |= {f"{service} killed": number for service, number in sorted(killed.items())}
        assert set(killed) == set(SERVICES)
        assert tally.redelivered > REDELIVERED, "too little came again, so the run proves nothing"

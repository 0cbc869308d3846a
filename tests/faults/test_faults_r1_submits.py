"""R1: what the gateway answered 202 for is never lost, whenever it is killed."""

import random
import time

from support.promises import FULL, SEED, scenario
from support.trial import Trial
from support.waiting import until

JOBS = 2_000 if FULL else 100
KILLS = 40 if FULL else 5
"""At least so many of both: a fast machine submits more than a hundred while a gateway comes back."""
SUBMITS = 45 if FULL else 15
"""Most submits that a gateway lives for; half of that on average."""


def test_a_submit_that_was_accepted_ends(trial: Trial) -> None:
    chance = random.Random(SEED)
    with (
        scenario("R1", "gateway killed during submits") as tally,
        trial.load("r1", 20_000, seed=SEED, bursts=1) as load,
    ):
        moments: list[float] = []
        while len(moments) < KILLS or len(load.accepted) < JOBS:
            enough = len(load.accepted) + chance.randrange(SUBMITS)
            until(lambda: len(load.accepted) >= enough, seconds=120, every=0.001, why="submits go on")  # noqa: B023
            time.sleep(chance.uniform(0.0, 0.02))
            life = trial.fleet.kill("gateway-1")
            moments.append(life.told_at or 0.0)
            trial.fleet.back(life)
        load.enough()
        trial.wait_ended(load, seconds=900)
        history = trial.judge(tally, load)
        tally.faults = len(moments)
        cut = sum(load.under_way(at) for at in moments)
        tally.figures |= {"submits cut short": cut, "published again": history.repeated()["upload.received"]}
        assert cut >= 2 * KILLS, "few submits were under way when the gateway was killed, so the run proves little"

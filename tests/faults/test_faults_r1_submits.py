"""R1: what the gateway answered 202 for is never lost, whenever it is killed."""

import random
import time

from support.promises import FULL, SEED, scenario
from support.trial import Trial

JOBS = 2_000 if FULL else 150
KILLS = range(20, 1_000) if FULL else range(4, 5)
LIFE = (0.05, 1.5)


def test_a_submit_that_was_accepted_ends(trial: Trial) -> None:
    chance = random.Random(SEED)
    with (
        scenario("R1", "gateway killed during submits") as tally,
        trial.load("r1", JOBS, seed=SEED, bursts=1, clients=8) as load,
    ):
        moments: list[float] = []
        while not load.done and len(moments) < KILLS.stop:
            time.sleep(chance.uniform(*LIFE))
            life = trial.fleet.kill("gateway-1")
            moments.append(life.told_at or 0.0)
            trial.fleet.back(life)
        trial.wait_ended(load, seconds=600)
        history = trial.judge(tally, load)
        tally.faults = len(moments)
        cut = sum(load.under_way(at) for at in moments)
        tally.figures |= {"submits cut short": cut, "published again": history.repeated()["upload.received"]}
        assert tally.faults >= KILLS.start
        assert cut >= 2 * KILLS.start, (
            "few submits were under way when the gateway was killed, so the run proves little"
        )

"""R6: a rolling deploy under load loses nothing and pays nothing twice; how long each partition stood still."""

from concurrent.futures import ThreadPoolExecutor
from statistics import median

from scribewire_local.parts import SERVICES
from support.fleet import Fleet, Life
from support.flow import items, stalls
from support.promises import FULL, SEED, scenario
from support.trial import Trial

JOBS = 2_000 if FULL else 0
EVERY = 0.12 if FULL else 0.2
PROCESSES = 3 if FULL else 2


def roll(fleet: Fleet, service: str) -> list[Life]:
    """Replace every process of a service: the new one is ready before the old one is told to leave."""
    left = []
    for name in fleet.of(service):
        fleet.wait_ready([fleet.spawn(service)])
        left.append(fleet.remove(name))
    return left


def test_a_rolling_deploy_loses_and_repays_nothing(trial: Trial) -> None:
    fleet = trial.fleet
    fleet.scale(PROCESSES)
    try:
        with (
            scenario("R6", "rolling deploy of every service") as tally,
            trial.endless("r6", most=40, seed=SEED + 2, every=EVERY) as load,
            ThreadPoolExecutor(len(SERVICES)) as pool,
        ):
            left: list[Life] = []
            while not left or len(load.accepted) < JOBS:
                left += [life for gone in pool.map(roll, [fleet] * len(SERVICES), SERVICES) for life in gone]
            load.enough()
            tally.faults = len(left)
            trial.wait_ended(load, seconds=900)
            history = trial.judge(tally, load)
            stood = stalls(items(history.log))
            for stage in ("transcode", "recognise", "assemble", "record"):
                longest = [seconds for place, seconds in stood.items() if place[0] == stage]
                tally.figures[f"{stage} stall median s"] = round(median(longest), 2)
                tally.figures[f"{stage} stall max s"] = round(max(longest), 2)
            assert [life.code for life in left] == [0] * len(left)
            assert tally.paid_twice == 0, "nobody was killed, so nobody may pay twice"
    finally:
        fleet.scale(1)

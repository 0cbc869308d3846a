"""R8: when a holder is killed, others go on with its partitions within 10 s, and with its leases when they lapse."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

from aiokafka import TopicPartition

from support.fleet import Life
from support.flow import items, resumed
from support.groups import holders
from support.promises import FULL, SEED, scenario
from support.trial import Trial
from support.waiting import until

KILLS = 20 if FULL else 2
EVERY = 0.25
AFTERWARDS = 40
"""Jobs submitted after the last kill."""
HOLDERS = ("transcoder", "transcriber", "recorder")
STAGES = ("transcode", "recognise", "assemble", "record")
TAKEOVER = 10.0 if FULL else 20.0
LEASE = 30.0 if FULL else 12.0
"""Most seconds at the 95th percentile. A short run has few deaths and shares its machine: it may take twice as long."""


def p95(values: list[float]) -> float:
    """The value that 95 % do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def kill_one(trial: Trial, service: str, chance: random.Random) -> tuple[Life, set[TopicPartition]]:
    """Kill one of a service's processes; that life, and the partitions that were its own."""
    fleet = trial.fleet
    before = holders(fleet.kafka, service)
    if service == "transcriber":
        victim = until(trial.busiest, seconds=30, every=0.01, why="a transcriber waits for the provider")
    else:
        victim = chance.choice(fleet.of(service))
    life = fleet.kill(victim)
    fleet.back(life)
    after = holders(fleet.kafka, service)
    return life, {partition for member in before.keys() - after.keys() for partition in before[member]}


def test_others_take_over_what_a_killed_one_held(trial: Trial) -> None:
    chance = random.Random(SEED)
    trial.fleet.scale(2, HOLDERS)
    trial.engine.latency = lambda _call: chance.uniform(1.0, 3.0)
    try:
        with (
            scenario("R8", "the holder killed") as tally,
            trial.endless("r8", most=16, seed=SEED + 4, every=EVERY, bursts=1) as load,
            ThreadPoolExecutor(len(HOLDERS)) as pool,
        ):
            orphaned: list[tuple[Life, set[TopicPartition]]] = []
            for _ in range(KILLS):
                time.sleep(chance.uniform(1.0, 3.0))
                kills = pool.map(lambda service: kill_one(trial, service, chance), HOLDERS)
                orphaned.extend(kills)
            # What was orphaned last must get work, or there is nothing to see going on.
            goal = len(load.accepted) + AFTERWARDS
            until(lambda: len(load.accepted) >= goal, seconds=120, why="work goes on after the last kill")
            load.enough()
            trial.wait_ended(load, seconds=600)
            history = trial.judge(tally, load)
            tally.faults = len(orphaned)
            found = items(history.log)
            deaths = {
                service: [life.told_at or 0.0 for life, _ in orphaned if life.service == service] for service in HOLDERS
            }
            for stage in STAGES:
                places = [
                    (life, (stage, partition.topic, partition.partition))
                    for life, partitions in orphaned
                    for partition in partitions
                ]
                waits = [
                    wait
                    for life, place in places
                    if (wait := resumed(found, place, life.told_at or 0.0, deaths[life.service])) is not None
                ]
                if not waits and not FULL:
                    continue  # two kills may hit a process that had just joined, and held nothing of this stage yet
                assert waits, f"no orphaned partition had work for {stage}"
                tally.figures |= {f"{stage} p95 s": round(p95(waits), 2), f"{stage} partitions": len(waits)}
            leases = trial.taken_over([life for life, _ in orphaned])
            assert len(leases) >= KILLS // 2, "hardly a call was cut short by a kill, so the run proves little"
            tally.figures |= {"lease p95 s": round(p95(leases), 2), "leases": len(leases)}
            measured = {name: value for name, value in tally.figures.items() if name.endswith("p95 s")}
            del measured["lease p95 s"]
            assert measured, "no orphaned partition had work, so the run proves nothing"
            slow = [name for name, value in measured.items() if value > TAKEOVER]  # type: ignore[operator]
            assert not slow, f"more than {TAKEOVER} s: {slow}"
            assert p95(leases) <= LEASE
    finally:
        trial.fleet.scale(1, HOLDERS)

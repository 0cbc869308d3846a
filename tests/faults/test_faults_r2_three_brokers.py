"""R2 on three Kafka brokers: each is killed and comes back under load, and every job still ends exactly once."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from common import topics
from scribewire.client import Client
from scribewire.config import Gateway
from scribewire_local.kafka import Kafka
from support.brokers import three_brokers
from support.fake_deepgram import FakeDeepgram
from support.fleet import KEY, Fleet, running_fleet
from support.history import check, observe, statuses_in
from support.lag import behind
from support.platform import folder_of, fresh_database
from support.promises import FULL, SEED, scenario
from support.receiver import Receiver
from support.receiver import receiver as hooks
from support.submits import Submits
from support.thread_loop import ThreadLoop
from support.verdict import ENDED
from support.waiting import until

JOBS = 600 if FULL else 20
KILLS = 6 if FULL else 1
AWAY = 5.0 if FULL else 2.0
EVERY = 0.25 if FULL else 0.5


@dataclass
class Cluster:
    """Three brokers, and the platform on them."""

    brokers: list[Kafka]
    fleet: Fleet
    dsn: str
    engine: FakeDeepgram
    receiver: Receiver
    loop: ThreadLoop


@pytest.fixture(scope="module")
def cluster(postgres_server_dsn: str) -> Iterator[Cluster]:
    loop, dsn = ThreadLoop(), fresh_database(postgres_server_dsn)
    with (
        loop.entered(FakeDeepgram()) as engine,
        loop.entered(hooks()) as receiver,
        three_brokers() as brokers,
        folder_of("fleet") as folder,
    ):
        bootstrap = ",".join(broker.bootstrap for broker in brokers)
        asyncio.run(topics.apply(bootstrap, replication=len(brokers)))
        env = {
            "DEEPGRAM_API_KEY": engine.key,
            "DEEPGRAM_BASE_URL": engine.url,
            "SCRIBEWIRE_RETRY_DELAYS": "[1, 5, 20]",
            "SCRIBEWIRE_LEASE_TTL": "6",
            "SCRIBEWIRE_REUSE": "false",
        }
        fleet = Fleet(folder, kafka=bootstrap, dsn=dsn, env=env)
        with running_fleet(fleet):
            with Client(Gateway(fleet.urls[0], KEY)) as client:
                client.add_webhook(receiver.url)
            yield Cluster(brokers, fleet, dsn, engine, receiver, loop)
    loop.close()


def test_brokers_are_killed_in_turn_under_load(cluster: Cluster) -> None:
    order = random.Random(SEED).sample(range(len(cluster.brokers)), len(cluster.brokers))
    bootstrap = cluster.fleet.kafka
    with scenario("R2", f"three brokers, {KILLS} kills and restarts under load") as tally:
        submits = Submits(cluster.fleet.urls[0], KEY, "three", SEED)
        submitting = cluster.loop.start(submits.run(JOBS, every=EVERY, more=lambda: tally.faults < KILLS))
        until(lambda: submits.accepted, seconds=60, why="the first upload is taken")
        for number in range(KILLS):
            broker = cluster.brokers[order[number % len(order)]]
            broker.kill()
            taken = len(submits.accepted)
            time.sleep(AWAY)
            until(
                lambda taken=taken: len(submits.accepted) > taken,  # type: ignore[misc]
                seconds=30,
                every=0.05,
                why="two brokers of three go on taking uploads",
            )
            broker.start()
            tally.faults += 1
            until(lambda: whole(bootstrap), seconds=60, why="every partition has three replicas in sync again")
        submitting.result(300)
        accepted = list(submits.accepted.values())

        def left() -> set[str]:
            states = asyncio.run(statuses_in(cluster.dsn))
            return set(accepted) - {job for job, state in states.items() if state in ENDED}

        try:
            until(lambda: not left(), seconds=600 if FULL else 120, every=0.5, why="every job ends")
            until(lambda: len(cluster.receiver.accepted) >= len(accepted), seconds=120, why="every ending is delivered")
            until(lambda: not asyncio.run(behind(bootstrap)), seconds=120, every=1.0, why="the lag returns to 0")
        finally:
            history = asyncio.run(observe(bootstrap, cluster.dsn, accepted, cluster.receiver.received))
            finding = check(history)
            tally.lost, tally.duplicated = finding.missing, finding.doubled
            tally.redelivered = history.redelivered()
        assert finding.clean, finding
        assert set(history.rows.values()) == {"completed"}
        assert len(set(accepted)) == len(accepted) >= JOBS
        assert all(history.usage_rows[job] == 1 for job in accepted)
        tally.paid_twice = sum(number - 1 for number in cluster.engine.paid().values())
        assert not tally.paid_twice, "no payer died, so nothing may be paid for twice"
        tally.figures |= {
            "jobs": len(accepted),
            "answers 503": len(submits.answers(503)),
            "slowest answer": round(max(one.ended - one.began for one in submits.attempts), 1),
        }


def whole(bootstrap: str) -> bool:
    """Whether every replica of every partition is in sync."""

    async def look() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            found = await admin.describe_topics([spec.name for spec in topics.specs()])
            return all(
                len(partition["isr"]) == len(partition["replicas"])
                for topic in found
                for partition in topic["partitions"]
            )
        finally:
            await admin.close()

    return asyncio.run(look())

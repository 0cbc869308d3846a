"""One fleet for the scenarios that kill: real parts of its own, a provider that is cheap, a receiver of webhooks."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire.client import Client
from scribewire.config import Gateway
from support.fake_deepgram import FakeDeepgram
from support.fleet import KEY, Fleet, running_fleet
from support.history import statuses_in
from support.platform import running_kafka, running_postgres
from support.promises import FULL
from support.receiver import Receiver
from support.receiver import receiver as hooks
from support.thread_loop import ThreadLoop
from support.trial import Trial
from support.verdict import ENDED
from support.waiting import until

SETTINGS = {"SCRIBEWIRE_SEGMENT_SECONDS": "1.5"}
SMALL = {"SCRIBEWIRE_LEASE_TTL": "6"}


@pytest.fixture(scope="session")
def fakes_loop() -> Iterator[ThreadLoop]:
    """The event loop in which fakes answer, in a thread of its own."""
    loop = ThreadLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def engine(fakes_loop: ThreadLoop) -> Iterator[FakeDeepgram]:
    """A Deepgram that costs nothing."""
    with fakes_loop.entered(FakeDeepgram()) as fake:
        yield fake


@pytest.fixture(scope="session")
def receiver(fakes_loop: ThreadLoop) -> Iterator[Receiver]:
    """Takes every webhook."""
    with fakes_loop.entered(hooks()) as there:
        yield there


@pytest.fixture(scope="session")
def fleet(engine: FakeDeepgram, receiver: Receiver) -> Iterator[Fleet]:
    """One process of each service; at full size with the lease's default time to live."""
    env = {"DEEPGRAM_API_KEY": engine.key, "DEEPGRAM_BASE_URL": f"{engine.url}/{{member}}"}
    with tempfile.TemporaryDirectory(prefix="scribewire-faults-") as folder, running_kafka() as kafka:
        Path(folder).chmod(0o711)  # the decoder's user must be able to pass through
        with running_postgres() as postgres:
            settings = SETTINGS if FULL else SETTINGS | SMALL
            fleet = Fleet(Path(folder), kafka=kafka.bootstrap, dsn=postgres.dsn, env=env | settings)
            with running_fleet(fleet):
                with Client(Gateway(fleet.urls[0], KEY)) as client:
                    client.add_webhook(receiver.url)
                yield fleet


@pytest.fixture
def trial(fleet: Fleet, engine: FakeDeepgram, receiver: Receiver, tmp_path: Path) -> Trial:
    """A scenario's part of what the fleet does; what an earlier one left is finished first."""
    fleet.wait_ready()
    until(
        lambda: all(status in ENDED for status in asyncio.run(statuses_in(fleet.dsn)).values()),
        seconds=120,
        every=0.5,
        why="the jobs of the scenario before have ended",
    )
    return Trial(fleet, engine, receiver, tmp_path)

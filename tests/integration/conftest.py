"""Fixtures of the tests of the bus: a Kafka of their own, because they break it and make its topics anew."""

from collections.abc import Iterator

import pytest

from scribewire_local.kafka import Kafka
from support.buskit import fresh_topics
from support.platform import running_kafka


@pytest.fixture(scope="session")
def bus_broker() -> Iterator[Kafka]:
    """The broker itself, for tests that stop it; whoever does starts it again."""
    with running_kafka() as kafka:
        yield kafka


@pytest.fixture
async def bus_kafka(bus_broker: Kafka) -> str:
    """Bootstrap address of a Kafka whose topics are there, and empty."""
    await fresh_topics(bus_broker.bootstrap)
    return bus_broker.bootstrap

"""Fixtures of the whole tree: real Kafka, PostgreSQL and Azurite, once per session and only if a test asks for them."""

from collections.abc import Iterator

import pytest

from scribewire_local.kafka import Kafka
from support.azurite import NoAzurite, running_azurite
from support.buskit import fresh_topics
from support.platform import START_SECONDS, fresh_database, running_kafka, running_postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files anew instead of comparing with them."""
    parser.addoption("--update-test-data", action="store_true", help="write the golden files in tests/data anew")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Bootstrap address of a real Kafka that this session shares; use topic and group names of your own."""
    with running_kafka() as kafka:
        yield kafka.bootstrap


@pytest.fixture(scope="session")
def bus_broker() -> Iterator[Kafka]:
    """A Kafka for the tests of the bus, which break it and make its topics anew; whoever stops it starts it again."""
    with running_kafka() as kafka:
        yield kafka


@pytest.fixture
async def bus_kafka(bus_broker: Kafka) -> str:
    """Bootstrap address of that Kafka, with the topics of the bus's tests there and empty."""
    await fresh_topics(bus_broker.bootstrap)
    return bus_broker.bootstrap


@pytest.fixture(scope="session")
def postgres_server_dsn() -> Iterator[str]:
    """Address of a real PostgreSQL; `support.platform.fresh_database` makes databases on it."""
    with running_postgres() as server:
        yield server.dsn


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server_dsn: str) -> str:
    """Address of a database that was empty when this session began."""
    return fresh_database(postgres_server_dsn)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Connection string of an Azurite that this session shares; use a container of your own."""
    try:
        with running_azurite() as connection:
            yield connection
    except NoAzurite as reason:
        pytest.skip(f"Azurite: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long the parts took to start."""
    for part, seconds in START_SECONDS.items():
        terminalreporter.write_line(f"{part} was ready after {seconds:.1f} s")

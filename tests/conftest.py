"""Fixtures of the whole tree: real Kafka, PostgreSQL and Azurite, once per session and only if a test asks for them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from scribewire_local.kafka import Kafka
from support.azurite import NoAzurite, running_azurite
from support.buskit import fresh_topics
from support.platform import START_SECONDS, fresh_database, running_kafka, running_postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files anew, and the setting that says what may run beside the others."""
    parser.addoption("--update-test-data", action="store_true", help="write the golden files in tests/data anew")
    parser.addini("beside", "files and folders of tests that may run in a second process", type="paths", default=[])


def may_run_beside(config: pytest.Config, path: Path) -> bool:
    """Whether a file's tests share nothing with the others."""
    return any(path.is_relative_to(folder) for folder in config.getini("beside"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Keep in one process, and in order, what shares Kafka or measures; give the rest to whoever is free, by files."""

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if may_run_beside(config, config.rootpath / file) else "the platform"

    return Scheduling(config, log)


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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let those with deadlines go first: a process that has come to what runs beside them has none of them left."""
    if "PYTEST_XDIST_WORKER" in os.environ and may_run_beside(item.config, item.path):
        os.setpriority(os.PRIO_PROCESS, 0, max(5, os.getpriority(os.PRIO_PROCESS, 0)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process knows to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["started"] = START_SECONDS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what such a process knows; one that died told nothing."""
    for part, seconds in getattr(node, "workeroutput", {}).get("started", {}).items():
        START_SECONDS[part] = max(seconds, START_SECONDS.get(part, 0.0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long the parts took to start."""
    for part, seconds in START_SECONDS.items():
        terminalreporter.write_line(f"{part} was ready after {seconds:.1f} s")

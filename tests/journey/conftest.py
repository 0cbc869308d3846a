"""One platform for all journeys, up once for the session, and how well it understood what it heard."""

import pytest

from support.running import running


@pytest.fixture(scope="session")
def platform():
    """The whole platform, as `scribewire up` gives it, without any provider's key; it fetches from this machine too."""
    with running({"SCRIBEWIRE_FETCH_ALLOW_PRIVATE": "true"}) as up:
        yield up


def pytest_terminal_summary(terminalreporter):
    """Say the word error rate of each recording."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if report.when == "call":
                terminalreporter.write_line(f"{name}: {value}")

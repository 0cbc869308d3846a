"""One platform for all journeys, up once for the session."""

import pytest

from support.running import running


@pytest.fixture(scope="session")
def platform():
    """The whole platform, as `scribewire up` gives it, without any provider's key."""
    with running() as up:
        yield up

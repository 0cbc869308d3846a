"""One platform for all journeys, up once for the session."""

import pytest

from support.running import running


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """The whole platform, as `scribewire up` gives it, without any provider's key."""
    with running(tmp_path_factory.mktemp("journey")) as up:
        yield up

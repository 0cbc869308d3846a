"""Azurite for the contract suites: once per session, and a reason where it cannot run."""

from collections.abc import Iterator

import pytest

from support.azurite import NoAzurite, running_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Connection string of an Azurite that this session shares; use a container of your own."""
    try:
        with running_azurite() as connection:
            yield connection
    except NoAzurite as reason:
        pytest.skip(f"Azurite: {reason}")

"""What the gateway makes of a database that goes away in the middle of something."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest

from common.db.away import AWAY
from gateway.database import Database, StoreUnavailable


class Connection:
    """A connection that was told just now that its server shuts down."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def terminate(self) -> None:
        """Nothing to hang up."""

    async def fetchval(self, _: str) -> None:
        raise self.error


class Pool:
    """Gives that connection."""

    def __init__(self, error: BaseException) -> None:
        self._connection = Connection(error)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        yield self._connection


def database(error: BaseException) -> Database:
    return Database(cast("Any", Pool(error)), seconds=1.0)


@pytest.mark.parametrize(
    "error",
    [
        # What asyncpg said of a statement in the very moment of a restart, when the gateway answered 500.
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_who_asks_while_the_server_goes_is_told_that_it_is_away(error: Exception) -> None:
    assert isinstance(error, AWAY)
    with pytest.raises(StoreUnavailable):
        await database(error).ping()


async def test_what_is_wrong_with_a_statement_is_not_taken_for_a_server_that_is_away() -> None:
    with pytest.raises(asyncpg.SyntaxOrAccessError):
        await database(asyncpg.PostgresSyntaxError("syntax error")).ping()

"""A PostgreSQL whose clock stands still until it is set: hours pass at once, and a clock can be wrong."""

from datetime import datetime, timedelta

import asyncpg

SEARCH_PATH = "stepped, pg_catalog, public"
"""For `common.db.pool.open_pool`: who looks for functions in this order has the clock."""

_MAKE = """
CREATE SCHEMA stepped;
CREATE TABLE stepped.moment AS SELECT pg_catalog.clock_timestamp() AS at;
CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT at FROM stepped.moment';
CREATE FUNCTION stepped.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM stepped.moment';
"""


class SteppedClock:
    """The clock of one database; made by `make`."""

    def __init__(self, dsn: str, began: datetime) -> None:
        self._dsn = dsn
        self._began = self._at = began

    @classmethod
    async def make(cls, dsn: str) -> "SteppedClock":
        """Give a migrated database such a clock, which shows the time it is."""
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(_MAKE)
            return cls(dsn, await connection.fetchval("SELECT at FROM stepped.moment"))
        finally:
            await connection.close()

    @property
    def passed(self) -> float:
        """Seconds that it shows since it was made."""
        return (self._at - self._began).total_seconds()

    async def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        self._at += timedelta(seconds=seconds)
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute("UPDATE stepped.moment SET at = $1", self._at)
        finally:
            await connection.close()

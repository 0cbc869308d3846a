"""Links of mails that were used: kept as digests until they would have ended by themselves."""

from datetime import UTC, datetime
from typing import Any

from gateway.database import Database
from gateway.identity.confirmation import Confirmation

USE = "INSERT INTO used_confirmations (digest, until) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING digest"

# Later than they end: the clock that calls a link too old is the gateway's, this one is PostgreSQL's.
FORGET_OLD = "DELETE FROM used_confirmations WHERE until < now() - interval '1 day'"


async def use(connection: Any, link: Confirmation) -> bool:
    """Note in a transaction that a link is used; False when it was before. Of two at once the second waits."""
    until = datetime.fromtimestamp(link.until, UTC)
    return await connection.fetchval(USE, link.digest, until) is not None


class UsedLinks:
    """What was used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tidy(self) -> None:
        """Forget links that have ended."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)

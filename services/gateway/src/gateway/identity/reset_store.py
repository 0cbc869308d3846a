"""Tokens that let somebody set a new password: good once, for a while, and only the newest."""

import secrets
from collections.abc import Callable, Iterable
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from gateway.database import Database
from gateway.identity.session_store import REVOKE_ALL

_PREFIX = "swp_"

DROP_UNUSED = "DELETE FROM resets WHERE account_id = $1 AND used_at IS NULL"

ADD = """
INSERT INTO resets (id, account_id, token_hash, created_at, expires_at, ip)
VALUES ($1, $2, $3, now(), now() + $4::interval, $5)"""

GOOD = """
SELECT EXISTS (SELECT FROM resets AS r JOIN accounts AS a ON a.id = r.account_id AND a.is_active
                WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now())"""

USE = """
UPDATE resets AS r SET used_at = now(), ip = $2
  FROM accounts AS a
 WHERE token_hash = $1 AND used_at IS NULL AND expires_at > now() AND a.id = r.account_id AND a.is_active
RETURNING account_id"""

SET_PASSWORD = """
UPDATE accounts
   SET password_hash = $2, password_changed_at = now(), updated_at = now(), confirmed_at = coalesce(confirmed_at, now())
 WHERE id = $1"""  # noqa: S105 - a statement, no password

FORGET_OLD = "DELETE FROM resets WHERE expires_at < now() - interval '1 day'"


class ResetStore:
    """Reset tokens in PostgreSQL, of which it knows only SHA-256 hashes.

    Parameters
    ----------
    ended
        Told the sessions that were ended by a reset, so that nobody goes on believing in them.
    lasts
        How long a token is good.
    """

    def __init__(
        self, database: Database, *, ended: Callable[[Iterable[UUID]], None], lasts: timedelta = timedelta(hours=1)
    ) -> None:
        self._database = database
        self._ended = ended
        self._lasts = lasts

    async def add(self, account: UUID, address: str) -> str:
        """A new token; those before it are good no more."""
        token = _PREFIX + secrets.token_urlsafe(32)
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(DROP_UNUSED, account)
            await connection.execute(ADD, uuid4(), account, _hash(token), self._lasts, address)
        return token

    async def good(self, token: str) -> bool:
        """Whether the token would be taken."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(GOOD, _hash(token)))

    async def use(self, token: str, password_hash: str, address: str) -> UUID | None:
        """Set the password and end every session of the token's account; None when the token is good no more."""
        ended: list[UUID] = []
        async with self._database.connection() as connection, connection.transaction():
            account: UUID | None = await connection.fetchval(USE, _hash(token), address)
            if account is not None:
                await connection.execute(SET_PASSWORD, account, password_hash)
                await connection.execute(DROP_UNUSED, account)
                ended = [
                    row["id"] for row in await connection.fetch(REVOKE_ALL, account, "the password was reset", None)
                ]
        self._ended(ended)
        return account

    async def tidy(self) -> None:
        """Forget tokens that are good no more."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()

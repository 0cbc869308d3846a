"""The signing keys in PostgreSQL, which every gateway shares."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.database import Database

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('scribewire signing keys', 0))"

VALID_SIGNING_KEYS = """
SELECT kid, private_key, public_jwk, created_at, signs_until, verifies_until
  FROM signing_keys WHERE verifies_until > $1 ORDER BY signs_until, kid"""

ADD_SIGNING_KEY = """
INSERT INTO signing_keys (kid, private_key, public_jwk, created_at, signs_until, verifies_until)
VALUES ($1, $2, $3, $4, $5, $6)"""

DROP_OLD_SIGNING_KEYS = "DELETE FROM signing_keys WHERE verifies_until <= $1"


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A signing key as stored: the private part encrypted, the public part readable."""

    kid: str
    private_key: str
    public_jwk: dict[str, Any]
    created_at: datetime
    signs_until: datetime
    verifies_until: datetime


class SigningStore:
    """Reads the signing keys, and adds one where one is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def valid(self, now: datetime) -> list[SigningKeyRow]:
        """Every key that still verifies, the one that signs first; raises `StoreUnavailable`."""
        async with self._database.connection() as connection:
            return _rows(await connection.fetch(VALID_SIGNING_KEYS, now))

    async def ensure(
        self, now: datetime, due: Callable[[list[SigningKeyRow]], SigningKeyRow | None]
    ) -> list[SigningKeyRow]:
        """Every key that still verifies, after a new one was added if ``due`` makes one of those there are.

        One gateway at a time asks, so that all of them agree on one key. Keys that verify nothing any more are erased.
        """
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(ONE_AT_A_TIME)
            rows = _rows(await connection.fetch(VALID_SIGNING_KEYS, now))
            new = due(rows)
            if new is None:
                return rows
            await connection.execute(DROP_OLD_SIGNING_KEYS, now)
            await connection.execute(
                ADD_SIGNING_KEY,
                *(new.kid, new.private_key, new.public_jwk, new.created_at, new.signs_until, new.verifies_until),
            )
            return _rows(await connection.fetch(VALID_SIGNING_KEYS, now))


def _rows(found: list[Any]) -> list[SigningKeyRow]:
    return [SigningKeyRow(**dict(row)) for row in found]

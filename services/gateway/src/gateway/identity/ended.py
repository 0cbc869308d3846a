"""Logins at another issuer whose account was ended: known by a digest, so that a token of before makes none anew."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from gateway.database import Database

LONGEST_DAYS = 30
"""Age of a token, in days, from which on it makes no account; a digest is of no use for longer."""

OF_ACCOUNT = "SELECT issuer, subject FROM oidc_identities WHERE account_id = $1"

ADD = """
INSERT INTO ended_identities (digest, ended_at) VALUES ($1, $2)
ON CONFLICT (digest) DO UPDATE SET ended_at = greatest(ended_identities.ended_at, excluded.ended_at)"""

IS_NEW = f"""
SELECT to_timestamp($2::double precision) > greatest(
           (SELECT max(ended_at) FROM ended_identities WHERE digest = ANY($1::bytea[])),
           now() - interval '{LONGEST_DAYS} days')"""  # noqa: S608 - a constant

_LAST = 2.0**36
"""Seconds of a time that PostgreSQL can still tell; no token that is valid now was issued later."""

FORGET_OLD = f"DELETE FROM ended_identities WHERE ended_at < now() - interval '{LONGEST_DAYS + 1} days'"  # noqa: S608


class EndedIdentities:
    """Remembers them without naming them.

    Parameters
    ----------
    pepper
        Secret from outside the database under which digests are made; None for plain SHA-256.
    """

    def __init__(self, database: Database, *, pepper: str | None = None) -> None:
        self._database = database
        self._pepper = pepper.encode() if pepper else None

    async def add(self, connection: Any, account: UUID, at: object) -> None:
        """Note an account's identities, in the transaction that ends it."""
        for row in await connection.fetch(OF_ACCOUNT, account):
            await connection.execute(ADD, self._digests(row["issuer"], row["subject"])[0], at)

    async def is_new(self, connection: Any, issuer: str, subject: str, issued: float) -> bool:
        """Whether a token, issued then (epoch seconds), is of a login after the identity's account ended."""
        return bool(await connection.fetchval(IS_NEW, self._digests(issuer, subject), min(issued, _LAST)))

    async def tidy(self) -> None:
        """Forget those of which no token of before is taken any more."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)

    def _digests(self, issuer: str, subject: str) -> Sequence[bytes]:
        """The digest to keep, and one that was kept before there was a pepper."""
        text = f"identity\n{issuer}\n{subject}".encode()
        plain = sha256(text).digest()
        return [plain] if self._pepper is None else [hmac.digest(self._pepper, text, "sha256"), plain]

"""API keys in PostgreSQL: never a key, only its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.database import Database
from gateway.identity.key_models import ApiKey
from gateway.principal import OPERATOR

MOST_KEYS = 100
"""Valid keys of one owner."""

_KEY = """
SELECT id, prefix, name, scopes, created_at, expires_at, last_used_at, uses, rotated_to FROM api_keys"""

KEYS_BY_PREFIX = """
SELECT k.prefix, k.id, k.owner, k.digest, k.scopes, k.expires_at, k.revoked_at, a.role, a.plan, a.is_active
  FROM api_keys k LEFT JOIN accounts a ON a.id = CASE WHEN k.owner <> $2 THEN k.owner::uuid END
 WHERE k.prefix = ANY($1)"""

KEYS_OF_OWNER = _KEY + " WHERE owner = $1 AND revoked_at IS NULL ORDER BY created_at DESC, id DESC"

VALID_KEY = (
    _KEY
    + """
 WHERE owner = $1 AND id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"""
)

KEY_TO_ROTATE = VALID_KEY + " FOR UPDATE"

ADD_KEY = """
INSERT INTO api_keys (id, owner, name, prefix, digest, scopes, created_at, expires_at, asked)
SELECT $1, $2, $3, $4, $5, $6, $7, least($8::timestamptz, (SELECT expires_at FROM api_keys WHERE id = $9)), $12::bytea
 WHERE $10 > (SELECT count(*) FROM api_keys
               WHERE owner = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
                 AND id IS DISTINCT FROM $11)
ON CONFLICT (id) DO NOTHING
RETURNING id, prefix, name, scopes, created_at, expires_at, last_used_at, uses, rotated_to"""
"""A key that was made with a key that ends does not outlive it. One that is replaced does not count any more."""

KEY_ASKED_FOR = "SELECT asked FROM api_keys WHERE owner = $1 AND id = $2"

ROTATED_TO = """
UPDATE api_keys SET rotated_to = $3, expires_at = least(expires_at, $4) WHERE owner = $1 AND id = $2
RETURNING expires_at"""

REVOKE_KEY = """
UPDATE api_keys SET revoked_at = now() WHERE owner = $1 AND id = $2 AND revoked_at IS NULL RETURNING id"""

REPLACE_DIGEST = "UPDATE api_keys SET digest = $3 WHERE id = $1 AND digest = $2"

COUNT_USES = """
WITH used AS (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS u (id, uses, at)),
     locked AS (SELECT k.id FROM api_keys k JOIN used USING (id) ORDER BY k.id FOR UPDATE OF k)
UPDATE api_keys k SET uses = k.uses + u.uses, last_used_at = greatest(k.last_used_at, u.at)
  FROM used u JOIN locked USING (id) WHERE k.id = u.id"""
"""Rows are locked in one order, so that two gateways that count the same keys do not wait for each other."""


class Full(Exception):  # noqa: N818 - named for the state
    """The owner has as many keys as there may be."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What the door needs to know of a key and of whom it belongs to."""

    id: UUID
    owner: str
    digest: bytes
    scopes: Sequence[str]
    expires_at: datetime | None
    revoked: bool
    role: str
    plan: str
    active: bool


class KeyStore:
    """Reads and writes keys; every method raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_prefix(self, prefixes: Sequence[str]) -> dict[str, KeyRow]:
        """The keys that begin so, by prefix, revoked and expired ones among them."""
        async with self._database.connection() as connection:
            return {row["prefix"]: _key_row(row) for row in await connection.fetch(KEYS_BY_PREFIX, prefixes, OPERATOR)}

    async def of_owner(self, owner: str) -> list[ApiKey]:
        """An owner's keys that were not revoked, newest first."""
        async with self._database.connection() as connection:
            return [_shown(row) for row in await connection.fetch(KEYS_OF_OWNER, owner)]

    async def add(
        self, owner: str, key: ApiKey, digest: bytes, *, made_with: UUID | None, asked: bytes | None = None
    ) -> ApiKey | None:
        """Add a key; None when the owner has `MOST_KEYS` already, or there is one with its id.

        Parameters
        ----------
        made_with
            The key it is made with, if it is one; it is not outlived.
        asked
            Hash of the request, where an Idempotency-Key came with it.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(ADD_KEY, *_values(owner, key, digest), made_with, MOST_KEYS, None, asked)
            return None if row is None else _shown(row)

    async def asked_for(self, owner: str, key: UUID) -> bytes | None:
        """Hash of the request that made a key; None when there is no such key."""
        async with self._database.connection() as connection:
            found: bytes | None = await connection.fetchval(KEY_ASKED_FOR, owner, key)
            return found

    async def valid(self, owner: str, key: UUID) -> ApiKey | None:
        """A valid key of an owner."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(VALID_KEY, owner, key)
            return None if row is None else _shown(row)

    async def rotate(
        self, owner: str, old: UUID, key: ApiKey, digest: bytes, *, until: datetime, made_with: UUID | None
    ) -> tuple[ApiKey, datetime] | None:
        """Put a key beside a valid one, which ends then; None when there is no such one, or it was rotated before.

        Parameters
        ----------
        made_with
            The key it is made with, if it is one, and be it the old one; it is not outlived.

        Returns
        -------
        tuple
            The new key, and when the old one ends.

        Raises
        ------
        Full
            The owner has `MOST_KEYS` beside the old one.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(KEY_TO_ROTATE, owner, old)
            if row is None or row["rotated_to"] is not None:
                return None
            # Before the old one is made to end, as it may be the one that is not outlived.
            added = await connection.fetchrow(ADD_KEY, *_values(owner, key, digest), made_with, MOST_KEYS, old, None)
            if added is None:
                raise Full
            ends: datetime = await connection.fetchval(ROTATED_TO, owner, old, key.id, until)
            return _shown(added), ends

    async def revoke(self, owner: str, key: UUID) -> bool:
        """Revoke a key; False when the owner has none of this id that was not revoked."""
        async with self._database.connection() as connection:
            return await connection.fetchval(REVOKE_KEY, owner, key) is not None

    async def replace_digest(self, key: UUID, old: bytes, new: bytes) -> None:
        """Store another digest of the same key."""
        async with self._database.connection() as connection:
            await connection.execute(REPLACE_DIGEST, key, old, new)

    async def count(self, used: Mapping[UUID, tuple[int, datetime]]) -> None:
        """Add to how often keys were used, and note when last."""
        async with self._database.connection() as connection:
            await connection.execute(
                COUNT_USES, list(used), [uses for uses, _ in used.values()], [at for _, at in used.values()]
            )


def _values(owner: str, key: ApiKey, digest: bytes) -> tuple[object, ...]:
    return key.id, owner, key.name, key.prefix, digest, key.scopes, key.created_at, key.expires_at


def _shown(row: Any) -> ApiKey:
    return ApiKey.model_validate({name: row[name] for name in ApiKey.model_fields})


def _key_row(row: Any) -> KeyRow:
    operators = row["owner"] == OPERATOR
    return KeyRow(
        id=row["id"],
        owner=row["owner"],
        digest=row["digest"],
        scopes=row["scopes"],
        expires_at=row["expires_at"],
        revoked=row["revoked_at"] is not None,
        role="admin" if operators else row["role"] or "user",
        plan="enterprise" if operators else row["plan"] or "free",
        active=operators or bool(row["is_active"]),
    )

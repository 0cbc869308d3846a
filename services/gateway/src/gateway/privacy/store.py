"""Every SQL statement of an export and of an account's end."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.database import Database
from gateway.identity.ended import EndedIdentities
from gateway.principal import account_id

EXPORTED: Mapping[str, str] = {
    "account": """
SELECT id, email, username, first_name, last_name, company, role, plan, confirmed_at, created_at, updated_at,
       password_changed_at, last_login
  FROM accounts WHERE id = @account""",
    "consents": "SELECT kind, given, at, ip FROM consents WHERE account_id = @account ORDER BY at, id",
    "sessions": """
SELECT created_at, last_seen, expires_at, revoked_at, revoked_reason, user_agent, ip
  FROM sessions WHERE account_id = @account ORDER BY created_at, id""",
    "password_resets": """
SELECT created_at, expires_at, used_at, ip FROM resets WHERE account_id = @account ORDER BY created_at, id""",
    "other_logins": "SELECT issuer, subject, created_at FROM oidc_identities WHERE account_id = @account",
    "keys": """
SELECT id, name, prefix, scopes, created_at, expires_at, last_used_at, uses, revoked_at
  FROM api_keys WHERE owner = @owner ORDER BY created_at, id""",
    "webhooks": """
SELECT id, url, events, created_at, disabled_at, disabled_reason
  FROM webhook_endpoints WHERE owner = @owner ORDER BY created_at, id""",
    "mails": """
SELECT kind, recipient, created_at, sent_at
  FROM mails
 WHERE account_id = @account OR recipient = (SELECT email FROM accounts WHERE id = @account)
 ORDER BY created_at""",
    "limits": "SELECT limits, updated_at FROM account_limits WHERE owner = @owner",
    "batches": """
SELECT id, status, total, bad, completed, failed, cancelled, created_at, finished_at
  FROM batches WHERE owner = @owner ORDER BY created_at, id""",
}
"""What there is beside jobs, each as one JSON file of the export; no secret is among it, nor the hash of one."""

ENCRYPTED = ("first_name", "last_name", "company", "address")

STREAMED: Mapping[str, tuple[str, tuple[str, str]]] = {
    "usage": (
        """
SELECT at, service, provider, endpoint, model, audio_seconds, tokens, cost_usd, job_id, id
  FROM usage WHERE owner = $1 AND ($2::timestamptz IS NULL OR (at, id) > ($2, $3::uuid)) ORDER BY at, id LIMIT $4""",
        ("at", "id"),
    ),
    "activity": (
        """
SELECT at, action, CASE WHEN actor = $1 THEN 'you' WHEN actor IS NULL THEN 'somebody' ELSE 'us' END AS done_by,
       CASE WHEN actor = $1 OR actor IS NULL THEN ip END AS ip,
       CASE WHEN actor = $1 OR actor IS NULL THEN user_agent END AS user_agent, details, id
  FROM (
    (SELECT * FROM audit_log
      WHERE actor = $1 AND ($2::timestamptz IS NULL OR (at, id) > ($2, $3::uuid))
      ORDER BY at, id LIMIT $4)
    UNION ALL
    (SELECT * FROM audit_log
      WHERE details ? 'account' AND details->>'account' = $1 AND actor IS DISTINCT FROM $1
        AND ($2::timestamptz IS NULL OR (at, id) > ($2, $3::uuid))
      ORDER BY at, id LIMIT $4)
  ) AS lines
 ORDER BY at, id LIMIT $4""",
        ("at", "id"),
    ),
    "webhook_deliveries": (
        """
SELECT created_at, event_type, job_id, endpoint_id, url, body, attempts, delivered_at, failed_at, last_status,
       last_error, id
  FROM webhook_deliveries
 WHERE owner = $1 AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))
 ORDER BY created_at, id LIMIT $4""",
        ("created_at", "id"),
    ),
    "batch_items": (
        """
SELECT batch_id, line, reference, state, kind, shown, address, source, options, job_id, error_code,
       error_message, ended_at
  FROM batch_items
 WHERE batch_id IN (SELECT id FROM batches WHERE owner = $1)
   AND ($2::uuid IS NULL OR (batch_id, line) > ($2, $3::integer))
 ORDER BY batch_id, line LIMIT $4""",
        ("batch_id", "line"),
    ),
}
"""What may be much: a statement for one page each, and the columns that say where the next one begins. Where the admins
sit who did something with an account is nobody's business but theirs."""

SOURCE_OF = "SELECT source_blob FROM jobs WHERE owner = $1 AND id = $2"

ASK = """
INSERT INTO erased_accounts (owner, asked_at, jobs) SELECT $1, $2, count(*) FROM jobs WHERE owner = $1
ON CONFLICT (owner) DO NOTHING
RETURNING jobs"""

CLOSE: Mapping[str, str] = {
    "mails": """
DELETE FROM mails WHERE account_id = @account OR recipient = (SELECT email FROM accounts WHERE id = @account)""",
    "api_keys": "DELETE FROM api_keys WHERE owner = @owner",
    "webhook_endpoints": "DELETE FROM webhook_endpoints WHERE owner = @owner",
    "accounts": "DELETE FROM accounts WHERE id = @account",
}
"""What lets somebody in or tells others of them: gone in the moment in which the account ends. Tables that refer to
`accounts` go with it."""

FORGET: Mapping[str, str] = {
    "mails": "DELETE FROM mails WHERE account_id = @account",
    "api_keys": "DELETE FROM api_keys WHERE owner = @owner",
    "webhook_endpoints": "DELETE FROM webhook_endpoints WHERE owner = @owner",
    "batch_items": """
DELETE FROM batch_items
 WHERE (batch_id, line) IN (SELECT batch_id, line FROM batch_items WHERE owner = @owner LIMIT @page)""",
    "batches": """
DELETE FROM batches
 WHERE id IN (SELECT id FROM batches WHERE owner = @owner ORDER BY id LIMIT @page FOR UPDATE)
   AND NOT EXISTS (SELECT FROM batch_items WHERE batch_items.batch_id = batches.id)""",
    "held_jobs": """
DELETE FROM held_jobs WHERE job_id IN (SELECT job_id FROM held_jobs WHERE owner = @owner LIMIT @page)""",
    "account_limits": "DELETE FROM account_limits WHERE owner = @owner",
    "allowances": "DELETE FROM allowances WHERE owner = @owner",
    "counted_jobs": """
DELETE FROM counted_jobs WHERE job_id IN (SELECT job_id FROM counted_jobs WHERE owner = @owner LIMIT @page)""",
    "audit_log": """
UPDATE audit_log SET ip = NULL, user_agent = NULL, details = '{}'
 WHERE id IN (
    SELECT id FROM audit_log WHERE actor = @owner AND (ip IS NOT NULL OR user_agent IS NOT NULL OR details <> '{}')
    UNION ALL
    SELECT id FROM audit_log WHERE details ? 'account' AND details->>'account' = @owner
    LIMIT @page)""",
}
"""What is left then, by table, a bounded number of rows at a time; also what comes late, from somebody who was let in
a moment before. Of the audit log it stays that an account, by then a bare id, did a thing at a time."""

TO_FORGET = """
SELECT owner FROM erased_accounts WHERE forgotten_at IS NULL OR asked_at > $1 ORDER BY asked_at LIMIT 1000"""

FORGOTTEN = "UPDATE erased_accounts SET forgotten_at = coalesce(forgotten_at, $2) WHERE owner = $1"

PAGE = 1000

_NAMES = re.compile(r"@(owner|account|page)\b")


class PrivacyStore:
    """Reads all that is about an owner; ends an account."""

    def __init__(self, database: Database, identities: EndedIdentities) -> None:
        self._database = database
        self._identities = identities

    async def exported(self, owner: str) -> dict[str, list[dict[str, Any]]]:
        """Everything but jobs, usage and activity, by the names of `EXPORTED`."""
        async with self._database.connection() as connection:
            return {
                name: [dict(row) for row in await _fetch(connection, statement, owner)]
                for name, statement in EXPORTED.items()
            }

    async def streamed(self, owner: str, name: str) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Pages of what may be much, oldest first, by the names of `STREAMED`."""
        statement, key = STREAMED[name]
        place: tuple[Any, Any] = (None, None)
        while True:
            async with self._database.connection() as connection:
                rows = await connection.fetch(statement, owner, *place, PAGE)
            if rows:
                yield [dict(row) for row in rows]
            if len(rows) < PAGE:
                return
            place = (rows[-1][key[0]], rows[-1][key[1]])

    async def source(self, owner: str, job: UUID) -> str | None:
        """Where a job's recording lies."""
        async with self._database.connection() as connection:
            found: str | None = await connection.fetchval(SOURCE_OF, owner, job)
            return found

    async def end(self, owner: str, at: datetime) -> int | None:
        """Close an account, and ask for what the pipeline has of it; both or neither.

        Returns
        -------
        int or None
            How many jobs it had; None when it was ended before.
        """
        async with self._database.connection() as connection, connection.transaction():
            jobs: int | None = await connection.fetchval(ASK, owner, at)
            if (account := account_id(owner)) is not None:
                await self._identities.add(connection, account, at)
            for statement in CLOSE.values():
                await _execute(connection, statement, owner)
            return jobs

    async def to_forget(self, since: datetime) -> list[str]:
        """Owners of whom something is left, or who ended their account since."""
        async with self._database.connection() as connection:
            return [row["owner"] for row in await connection.fetch(TO_FORGET, since)]

    async def forget_some(self, owner: str) -> int:
        """Forget some of what is left of an owner; return how many rows that were."""
        changed = 0
        for statement in FORGET.values():
            # A connection each: none may be held for long.
            async with self._database.connection() as connection:
                changed += int((await _execute(connection, statement, owner)).rpartition(" ")[2])
        return changed

    async def forgotten(self, owner: str, at: datetime) -> None:
        """Note that nothing is left here."""
        async with self._database.connection() as connection:
            await connection.execute(FORGOTTEN, owner, at)

    async def ended(self, owner: str) -> bool:
        """Whether nothing is left of an account."""
        async with self._database.connection() as connection:
            return bool(
                await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM erased_accounts WHERE owner = $1 AND swept_at IS NOT NULL)", owner
                )
            )


async def _fetch(connection: Any, statement: str, owner: str) -> Sequence[Any]:
    text, values = _bound(statement, owner)
    rows: Sequence[Any] = await connection.fetch(text, *values)
    return rows


async def _execute(connection: Any, statement: str, owner: str) -> str:
    text, values = _bound(statement, owner)
    done: str = await connection.execute(text, *values)
    return done


def _bound(statement: str, owner: str) -> tuple[str, list[Any]]:
    """A statement with numbers for its names, and their values: the owner, their account's id if any, a page."""
    names = list(dict.fromkeys(_NAMES.findall(statement)))
    known = {"owner": owner, "account": account_id(owner), "page": PAGE}
    return _NAMES.sub(lambda name: f"${names.index(name[1]) + 1}", statement), [known[name] for name in names]

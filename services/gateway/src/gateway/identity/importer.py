"""Accounts of the two systems before this one: A's SQLite file and F's PostgreSQL. Repeating it adds what is new.

``python -m gateway.identity.importer --sqlite FILE`` or ``--flask-url URL``. Passwords go on working: their old hashes
are checked at the next login and replaced. SHA-256 hashes need ``PASSWORD_SALT`` as it was there, in the gateway's
environment.
"""

import argparse
import asyncio
import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import asyncpg

from common.crypt import Crypt, CryptSettings
from common.db.storable import storable
from gateway.identity import rules
from gateway.identity.account_store import CONSENTS
from gateway.identity.imported import SHA256

ADD = """
INSERT INTO accounts (id, email, email_key, username, username_key, password_hash, first_name, last_name, company,
                      plan, is_active, created_at, updated_at, last_login, imported_from)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now(), $13, $14)"""

# Given when the account was made: neither system wrote down a later moment.
ADD_CONSENT = "INSERT INTO consents (id, account_id, kind, given, at) VALUES ($1, $2, $3, $4, $5)"

KNOWN = "SELECT EXISTS (SELECT FROM accounts WHERE imported_from = $1)"

TAKEN = """
SELECT CASE WHEN email_key = $1 THEN 'email' ELSE 'username' END
  FROM accounts WHERE email_key = $1 OR username_key = $2 LIMIT 1"""

_PLANS = frozenset({"free", "pro", "enterprise"})


@dataclass(frozen=True, kw_only=True)
class Old:
    """An account as it was there; ``source`` names the system and its id in it."""

    source: str
    email: str
    username: str | None = None
    password_hash: str | None
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    plan: str = "free"
    is_active: bool = True
    created_at: datetime
    last_login: datetime | None = None
    consents: Mapping[str, bool] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """The id it had where that was a UUID; otherwise one made of it, the same each time."""
        _, _, known = self.source.partition(":")
        try:
            return UUID(known)
        except ValueError:
            return uuid5(NAMESPACE_URL, f"scribewire:account:{self.source}")


@dataclass
class Report:
    """What became of the accounts: how many of each, and which were left out and why (ids, no names)."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, source: str, why: str) -> None:
        """Note one that was left out."""
        self.counts["left out"] += 1
        self.left_out.append((source, why))


def of_sqlite(file: Path) -> list[Old]:
    """The users of A's database, which is only read; raises sqlite3.Error."""
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        rows = [dict(row) for row in connection.execute("SELECT * FROM users ORDER BY created_at, user_id")]
    finally:
        connection.close()
    return [
        Old(
            source=f"azure:{row['user_id']}",
            email=row["email"],
            username=row["username"],
            password_hash=SHA256 + row["password_hash"] if row["password_hash"] else None,
            is_active=bool(row.get("is_active", 1)),
            created_at=_time(row["created_at"]) or datetime.now(UTC),
            last_login=_time(row.get("last_login")),
            consents={kind: bool(row.get(kind)) for kind in CONSENTS},
        )
        for row in rows
    ]


async def of_flask(url: str, table: str = "users") -> list[Old]:
    """The users of F's database, which is only read. Roles are not taken over: an admin is made here by an admin."""
    # SQLAlchemy's addresses name a driver as well.
    connection = await asyncpg.connect(re.sub(r"^postgresql\+\w+:", "postgresql:", url), timeout=10)
    try:
        rows = await connection.fetch(f'SELECT * FROM "{table}" ORDER BY id')  # noqa: S608 - checked by `main`
    finally:
        await connection.close()
    return [_of_flask(dict(row)) for row in rows]


def _of_flask(row: dict[str, Any]) -> Old:
    known = row["password_hash"]
    plan = str(row.get("plan") or "free").lower()
    return Old(
        source=f"flask:{row['id']}",
        email=row["email"],
        username=row.get("username"),
        password_hash=known.decode() if isinstance(known, bytes) else known,
        first_name=row.get("first_name"),
        last_name=row.get("last_name"),
        company=row.get("company"),
        plan=plan if plan in _PLANS else "free",
        is_active=bool(row.get("is_active", True)),
        created_at=_time(row.get("created_at")) or datetime.now(UTC),
        last_login=_time(row.get("last_login")),
        consents={kind: bool(row[kind]) for kind in CONSENTS if kind in row},
    )


async def bring_over(dsn: str, crypt: Crypt, old: Iterable[Old]) -> Report:
    """Add the accounts that are not here yet; nothing is changed of one that is."""
    report = Report()
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        for account in old:
            await _one(connection, crypt, account, report)
    finally:
        await connection.close()
    return report


async def _one(connection: Any, crypt: Crypt, old: Old, report: Report) -> None:
    if await connection.fetchval(KNOWN, old.source):
        report.counts["here already"] += 1
        return
    try:
        email = rules.email(old.email or "")
        names = [rules.plain(name, longest) for name, longest in _names(old)]
    except ValueError as error:
        report.leave_out(old.source, f"its address or a name {error}")
        return
    # Rules for user names are ours: one that broke them goes on working, unless it could be taken for an address.
    username = storable(old.username or "").strip() or None
    if username is not None and "@" in username:
        report.counts["without the user name, which looks like an address"] += 1
        username = None
    keys = rules.key(email), rules.key(username) if username else None
    sealed = [crypt.encrypt(name) if name else None for name in names]
    try:
        async with connection.transaction():
            await connection.execute(
                ADD,
                *(old.id, email, keys[0], username, keys[1], old.password_hash, *sealed, old.plan, old.is_active),
                *(old.created_at, old.last_login, old.source),
            )
            for kind, given in old.consents.items():
                await connection.execute(ADD_CONSENT, uuid4(), old.id, kind, given, old.created_at)
    except asyncpg.UniqueViolationError:
        what = await connection.fetchval(TAKEN, *keys) or "id"
        report.leave_out(old.source, f"its {what} belongs to another account")
        return
    report.counts["imported"] += 1


def _names(old: Old) -> list[tuple[str | None, int]]:
    return [
        (old.first_name, rules.LONGEST_NAME),
        (old.last_name, rules.LONGEST_NAME),
        (old.company, rules.LONGEST_COMPANY),
    ]


def _time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    # Both systems wrote the time without a zone, and meant UTC.
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def main(arguments: list[str]) -> int:
    """Run the import; return its exit status: 0, 1 when some were left out, 2 when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m gateway.identity.importer", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--sqlite", type=Path, metavar="FILE", help="the SQLite file of the Azure Speech service")
    source.add_argument("--flask-url", metavar="URL", help="PostgreSQL address of the Flask service")
    parser.add_argument("--table", default="users", help="its table, if it is not `users`")
    parser.add_argument("--json", action="store_true", help="the report for programs")
    asked = parser.parse_args(arguments)
    try:
        if not asked.table.isidentifier():
            raise ValueError("--table must be a name")  # noqa: TRY301 - said like the others below
        settings = CryptSettings()
        crypt = Crypt.of_file(settings.encryption_keys_file)
        report = asyncio.run(_run(asked, settings.database_url.get_secret_value(), crypt))
    except (ValueError, OSError, sqlite3.Error, asyncpg.PostgresError, KeyError) as error:
        # An address may hold a password, which some errors quote.
        said = str(error) if isinstance(error, ValueError | sqlite3.Error) else type(error).__name__
        sys.stderr.write(f"import: {said}\n")
        return 2
    if asked.json:
        sys.stdout.write(json.dumps({"counts": report.counts, "left_out": report.left_out}) + "\n")
    else:
        for what, number in report.counts.items():
            sys.stdout.write(f"{number} {what}\n")
        for one, why in report.left_out:
            sys.stdout.write(f"  {one}: {why}\n")
    return 1 if report.left_out else 0


async def _run(asked: argparse.Namespace, dsn: str, crypt: Crypt) -> Report:
    old = of_sqlite(asked.sqlite) if asked.sqlite is not None else await of_flask(asked.flask_url, asked.table)
    return await bring_over(dsn, crypt, old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

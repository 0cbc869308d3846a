"""The columns that hold Fernet tokens, and how whoever works on all of them reads them: in pages, by primary key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

from common.crypt import Crypt, Undecipherable
from common.db.tables import accounts, batch_items, mails, sessions, signing_keys, webhook_endpoints
from common.webhook_secrets import MARK

PAGE = 500
"""Rows that are read, and changed, at once."""


@dataclass(frozen=True)
class Encrypted:
    """A column; where tokens stand behind a mark, a text without it is one that was written in clear."""

    column: Column[Any]
    mark: str = ""

    @property
    def name(self) -> str:
        """As in ``accounts.first_name``."""
        return f"{self.table}.{self.column.name}"

    @property
    def table(self) -> str:
        """Whose column it is."""
        return str(self.column.table.name)

    @cached_property
    def keys(self) -> dict[str, str]:
        """The primary key's columns with their types in SQL."""
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        return {key.name: key.type.compile(dialect) for key in self.column.table.primary_key}

    def made_by(self, stored: str, crypt: Crypt) -> int | None:
        """Which of the keys made it, None for a clear text; raises `common.crypt.Undecipherable`."""
        return crypt.made_by(stored.removeprefix(self.mark)) if stored.startswith(self.mark) else None

    def renewed(self, stored: str, crypt: Crypt) -> str | None:
        """What is to stand there instead, or None for nothing else; raises `common.crypt.Undecipherable`."""
        if not stored.startswith(self.mark):
            return self.mark + crypt.encrypt(stored)
        token = crypt.renewed(stored.removeprefix(self.mark))
        return None if token is None else self.mark + token


ENCRYPTED = (
    Encrypted(accounts.c.first_name),
    Encrypted(accounts.c.last_name),
    Encrypted(accounts.c.company),
    Encrypted(sessions.c.successor),
    Encrypted(signing_keys.c.private_key),
    Encrypted(mails.c.body),
    Encrypted(batch_items.c.address),
    Encrypted(webhook_endpoints.c.secret, mark=MARK),
)
"""Whoever adds an encrypted column adds it here."""


async def pages(connection: Any, encrypted: Encrypted, *, size: int = PAGE) -> AsyncIterator[list[Any]]:
    """The rows whose column is not null: primary key and ``value``. Nothing is held between two pages."""
    keys, column = encrypted.keys, encrypted.column.name
    names = ", ".join(keys)
    # Names come from the tables above, never from outside.
    select = f"SELECT {names}, {column} AS value FROM {encrypted.table} WHERE {column} IS NOT NULL"  # noqa: S608
    after = ", ".join(f"${number}::{kind}" for number, kind in enumerate(keys.values(), start=2))
    order = f"ORDER BY {names} LIMIT $1"
    rows = await connection.fetch(f"{select} {order}", size)
    while rows:
        yield rows
        last = rows[-1]
        rows = await connection.fetch(f"{select} AND ({names}) > ({after}) {order}", size, *(last[key] for key in keys))


@dataclass
class Uses:
    """What a column holds: how many texts each key made, how many stand in clear, how many none of the keys made."""

    by_key: dict[int, int]
    clear: int = 0
    unreadable: int = 0

    @property
    def older(self) -> int:
        """How many another key than the first made."""
        return sum(self.by_key.values()) - self.by_key.get(0, 0)


async def uses(connection: Any, encrypted: Encrypted, crypt: Crypt, *, size: int = PAGE) -> Uses:
    """Count what a column holds."""
    counted = Uses({})
    async for rows in pages(connection, encrypted, size=size):
        for row in rows:
            try:
                number = encrypted.made_by(row["value"], crypt)
            except Undecipherable:
                counted.unreadable += 1
                continue
            if number is None:
                counted.clear += 1
            else:
                counted.by_key[number] = counted.by_key.get(number, 0) + 1
    return counted

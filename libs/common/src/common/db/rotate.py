"""Every encrypted column encrypted anew with the first key, page by page, while everything runs."""

from dataclasses import dataclass
from typing import Any

import asyncpg
from pydantic import SecretStr

from common.crypt import Crypt, Undecipherable
from common.db.encrypted import ENCRYPTED, PAGE, Encrypted, pages


@dataclass
class Rotated:
    """What was done in a column: texts encrypted anew, and texts left as they are because no key made them."""

    renewed: int = 0
    unreadable: int = 0


async def rotate(database_url: SecretStr, crypt: Crypt, *, size: int = PAGE) -> dict[str, Rotated]:
    """Encrypt anew what an older key had encrypted, and encrypt what stands in clear.

    Each page is a transaction of its own that waits for nobody's lock, so that writers and rotation do not block each
    other; rows that were in use are changed one by one afterwards. A row that somebody changes meanwhile keeps the
    change. What was done stays done: cut off and run again, it goes on with what is left.

    Parameters
    ----------
    size
        Rows of a page.

    Returns
    -------
    dict
        By ``table.column``.
    """
    connection = await asyncpg.connect(database_url.get_secret_value(), timeout=10)
    try:
        return {one.name: await _column(connection, one, crypt, size) for one in ENCRYPTED}
    finally:
        await connection.close()


async def _column(connection: Any, encrypted: Encrypted, crypt: Crypt, size: int) -> Rotated:
    done = Rotated()
    page, single = _statements(encrypted)
    async for rows in pages(connection, encrypted, size=size):
        changes: dict[tuple[Any, ...], tuple[str, str]] = {}
        for row in rows:
            try:
                token = encrypted.renewed(row["value"], crypt)
            except Undecipherable:
                done.unreadable += 1
                continue
            if token is not None:
                changes[tuple(row[key] for key in encrypted.keys)] = row["value"], token
        if not changes:
            continue
        old, new = zip(*changes.values(), strict=True)
        written = await connection.fetch(page, old, new, *zip(*changes, strict=True))
        for key in changes.keys() - {tuple(row) for row in written}:
            # In use, or changed: alone it holds no other row, so waiting for a writer can block nobody.
            done.renewed += len(await connection.fetch(single, *changes[key], *key))
        done.renewed += len(written)
    return done


def _statements(encrypted: Encrypted) -> tuple[str, str]:
    """How a page is written, as arrays of old texts, new ones, and the columns of the key; and how one row is."""
    # Names come from the tables of ENCRYPTED, never from outside.
    table, column, keys = encrypted.table, encrypted.column.name, encrypted.keys
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(keys.values(), start=3))
    names = ", ".join(keys)
    same = " AND ".join(f"t.{key} = n.{key}" for key in keys)
    shown = ", ".join(f"t.{key}" for key in keys)
    page = f"""
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], {arrays}) AS given (old_value, new_value, {names})
), n AS (
    SELECT n.* FROM {table} AS t JOIN given AS n ON {same} AND t.{column} = n.old_value
       FOR UPDATE OF t SKIP LOCKED
)
UPDATE {table} AS t SET {column} = n.new_value FROM n WHERE {same} AND t.{column} = n.old_value
RETURNING {shown}"""  # noqa: S608
    which = " AND ".join(f"t.{key} = ${number}" for number, key in enumerate(keys, start=3))
    single = f"UPDATE {table} AS t SET {column} = $2 WHERE t.{column} = $1 AND {which} RETURNING {shown}"  # noqa: S608
    return page, single

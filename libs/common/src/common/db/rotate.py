"""Every encrypted column encrypted anew with the newest key, while everything runs."""

from typing import Any

import asyncpg
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.tables import accounts, batch_items, mails, metadata, sessions, signing_keys

ENCRYPTED = (
    accounts.c.first_name,
    accounts.c.last_name,
    accounts.c.company,
    sessions.c.successor,
    signing_keys.c.private_key,
    mails.c.body,
    batch_items.c.address,
)
"""Columns that hold Fernet tokens; whoever adds one adds it here."""

_BATCH = 500


async def rotate(database_url: SecretStr, crypt: Crypt) -> dict[str, int]:
    """Encrypt anew what an older key had encrypted; repeating it does nothing more.

    A row that somebody changes meanwhile keeps the change.

    Returns
    -------
    dict
        How many values of each ``table.column`` were encrypted anew.

    Raises
    ------
    common.crypt.Undecipherable
        A value was encrypted with a key that is not there any more; nothing of its column was written.
    """
    connection = await asyncpg.connect(database_url.get_secret_value(), timeout=10)
    try:
        return {f"{c.table.name}.{c.name}": await _column(connection, c, crypt) for c in ENCRYPTED}
    finally:
        await connection.close()


async def _column(connection: Any, column: Any, crypt: Crypt) -> int:
    table, name = column.table.name, column.name
    keys = [key.name for key in metadata.tables[table].primary_key]
    which = " AND ".join(f"{key} = ${number}" for number, key in enumerate(keys, start=3))
    renewed = 0
    async with connection.transaction():
        # Names come from the tables above, never from outside.
        values = connection.cursor(
            f"SELECT {', '.join(keys)}, {name} AS value FROM {table} WHERE {name} IS NOT NULL",  # noqa: S608
            prefetch=_BATCH,
        )
        async for row in values:
            if (token := crypt.renewed(row["value"])) is None:
                continue
            await connection.execute(
                f"UPDATE {table} SET {name} = $2 WHERE {name} = $1 AND {which}",  # noqa: S608
                row["value"],
                token,
                *(row[key] for key in keys),
            )
            renewed += 1
    return renewed

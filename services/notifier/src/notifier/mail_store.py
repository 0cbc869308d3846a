"""Rows of mails: whoever has something to say adds them, the notifier alone changes them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import structlog

from common.crypt import Crypt, Undecipherable
from common.db.away import AWAY
from common.errors import Transient
from notifier.mail_ports import Mail

log = structlog.get_logger(__name__)

CLAIM = """
WITH mine AS (
    SELECT id FROM mails
     WHERE due_at <= now() AND sent_at IS NULL AND failed_at IS NULL AND body IS NOT NULL
     ORDER BY due_at
     LIMIT $1
       FOR UPDATE SKIP LOCKED
)
UPDATE mails AS m SET due_at = now() + $2::interval
  FROM mine WHERE m.id = mine.id
RETURNING m.id, m.recipient, m.body, m.attempts"""

SENT = """
UPDATE mails SET attempts = $2, sent_at = now(), failed_at = NULL, due_at = NULL, body = NULL, last_error = NULL
 WHERE id = $1 AND sent_at IS NULL"""

POSTPONED = """
UPDATE mails SET attempts = $2, due_at = now() + $4::interval, last_error = $3
 WHERE id = $1 AND attempts < $2 AND sent_at IS NULL AND failed_at IS NULL"""

GIVEN_UP = """
UPDATE mails SET attempts = $2, failed_at = now(), due_at = NULL, body = NULL, last_error = $3
 WHERE id = $1 AND sent_at IS NULL AND failed_at IS NULL"""

UNREADABLE = """
UPDATE mails
   SET attempts = attempts + 1, last_error = 'none of the keys here made it', due_at = now() + $2::interval,
       failed_at = CASE WHEN attempts >= $3 THEN now() END, body = CASE WHEN attempts < $3 THEN body END
 WHERE id = $1"""

_WAIT_FOR_KEY = timedelta(minutes=5)
_MOST_WITHOUT_KEY = 10


class MailStore:
    """Mails in PostgreSQL, whose clock says what is due; it is a `notifier.mail_ports.MailQueue`."""

    def __init__(self, pool: asyncpg.Pool, crypt: Crypt) -> None:
        self._pool = pool
        self._crypt = crypt

    async def claim(self, limit: int, *, seconds: float) -> list[Mail]:
        """Take due mails; one whose text cannot be decrypted waits, and is given up in the end."""
        async with self._connection() as connection:
            rows = await connection.fetch(CLAIM, limit, timedelta(seconds=seconds))
            mails = []
            for row in rows:
                try:
                    said = json.loads(self._crypt.decrypt(row["body"]))
                except Undecipherable:
                    # While keys are rotated the newest may not have reached this machine yet.
                    log.warning("mail_undecipherable", mail=str(row["id"]))
                    await connection.execute(UNREADABLE, row["id"], _WAIT_FOR_KEY, _MOST_WITHOUT_KEY)
                    continue
                mails.append(Mail(row["id"], row["recipient"], said["subject"], said["text"], row["attempts"]))
        return mails

    async def sent(self, mail: Mail) -> None:
        """Note that the server took it."""
        async with self._connection() as connection:
            await connection.execute(SENT, mail.id, mail.attempts + 1)

    async def postponed(self, mail: Mail, error: str, seconds: float) -> None:
        """Note a failed attempt and when the next is due."""
        async with self._connection() as connection:
            await connection.execute(POSTPONED, mail.id, mail.attempts + 1, error, timedelta(seconds=seconds))

    async def given_up(self, mail: Mail, error: str) -> None:
        """Note that there is no further attempt."""
        async with self._connection() as connection:
            await connection.execute(GIVEN_UP, mail.id, mail.attempts + 1, error)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except AWAY as error:
            raise Transient("The database does not answer.", code="database_unavailable") from error

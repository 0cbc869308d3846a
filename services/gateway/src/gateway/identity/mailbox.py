"""Where mails are put for the notifier to send."""

import json
from uuid import UUID, uuid4

from common.crypt import Crypt
from gateway.database import Database
from gateway.identity.letters import Letter

ADD = """
INSERT INTO mails (id, account_id, kind, recipient, body, created_at, due_at)
VALUES ($1, $2, $3, $4, $5, now(), now())"""

FORGET_OLD = """
DELETE FROM mails WHERE sent_at < now() - interval '30 days' OR failed_at < now() - interval '30 days'"""


class Mailbox:
    """Takes mails.

    Parameters
    ----------
    on
        False where no mail server is set: then every mail is dropped.
    """

    def __init__(self, database: Database, crypt: Crypt, *, on: bool) -> None:
        self._database = database
        self._crypt = crypt
        self.on = on

    async def put(self, letter: Letter, recipient: str, *, account: UUID | None = None) -> None:
        """Have a mail sent; it goes with its account when that is deleted before."""
        if not self.on:
            return
        # The text holds tokens, so it is for the notifier's eyes only.
        body = self._crypt.encrypt(json.dumps({"subject": letter.subject, "text": letter.text}))
        async with self._database.connection() as connection:
            await connection.execute(ADD, uuid4(), account, letter.kind, recipient, body)

    async def tidy(self) -> None:
        """Forget whom mails went to that were sent or given up long ago."""
        async with self._database.connection() as connection:
            await connection.execute(FORGET_OLD)

"""Sends the mails that are due, a few at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Counter

from common.errors import Transient
from notifier.mail_ports import Mail, MailQueue, MailSender

log = structlog.get_logger(__name__)

MAILS = Counter("scribewire_mail_attempts", "Mail attempts by how they ended: sent, postponed, failed.", ["outcome"])

WAITS = (30.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0)
"""Seconds after each failed attempt, about 17 hours in all; a mail that comes later than that helps nobody."""

_AT_ONCE = 5


class Postman:
    """Runs beside the bus until it is cancelled.

    A process that dies after the server took a mail and before that was noted sends it once more, under the same
    Message-ID, when its claim has lapsed.

    Parameters
    ----------
    claim_seconds
        How long a claim lasts; longer than an attempt takes.
    poll_seconds
        Pause between looks.
    scale
        Factor on every wait between attempts.
    stop_seconds
        How long attempts under way may go on when the postman is cancelled; the others' claims lapse.
    """

    def __init__(
        self,
        *,
        queue: MailQueue,
        sender: MailSender,
        claim_seconds: float,
        poll_seconds: float = 1.0,
        scale: float = 1.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._claim_seconds = claim_seconds
        self._poll_seconds = poll_seconds
        self._scale = scale
        self._stop_seconds = stop_seconds

    async def __call__(self) -> None:
        """Send for ever."""
        while True:
            try:
                claimed = await self._queue.claim(_AT_ONCE, seconds=self._claim_seconds)
            except Transient as error:
                log.warning("mails wait", reason=error.message)
                claimed = []
            if claimed:
                await self._all(claimed)
            else:
                await asyncio.sleep(self._poll_seconds)

    async def _all(self, claimed: Sequence[Mail]) -> None:
        attempts = {asyncio.create_task(self._attempt(mail)) for mail in claimed}
        try:
            await asyncio.wait(attempts)
        except asyncio.CancelledError:
            # A mail the server has just taken is noted, so that a restart sends no second copy.
            await asyncio.wait(attempts, timeout=self._stop_seconds)
            for attempt in attempts:
                attempt.cancel()
            raise
        for attempt in attempts:
            if error := attempt.exception():
                log.error("a mail attempt broke", exc_info=error)

    async def _attempt(self, mail: Mail) -> None:
        outcome = await self._sender.send(mail)
        failures = mail.attempts + 1
        error = outcome.error
        if error is None:
            MAILS.labels("sent").inc()
            await self._note(lambda: self._queue.sent(mail))
        elif outcome.final or failures > len(WAITS):
            MAILS.labels("failed").inc()
            log.warning("mail given up", mail=str(mail.id), reason=error)
            await self._note(lambda: self._queue.given_up(mail, error))
        else:
            MAILS.labels("postponed").inc()
            log.info("mail postponed", mail=str(mail.id), reason=error)
            wait = WAITS[failures - 1] * random.uniform(0.9, 1.1) * self._scale  # noqa: S311 - spreads, hides nothing
            await self._note(lambda: self._queue.postponed(mail, error, wait))

    async def _note(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write, and again while the database is away; given up when the claim lapses, as then it is sent again."""
        try:
            async with asyncio.timeout(self._claim_seconds):
                while True:
                    try:
                        return await write()
                    except Transient:
                        await asyncio.sleep(self._poll_seconds)
        except TimeoutError:
            log.warning("a mail's end could not be noted; it will be sent again")

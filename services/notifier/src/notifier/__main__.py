"""Joins the notifier: settings, database, the handler on the bus, and courier and postman beside it."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import asyncpg

from common.bus import BatchStage
from common.crypt import Crypt
from common.db.pool import open_pool
from common.events import JobCancelled, JobCompleted, JobFailed
from common.guard import guarded_connector
from common.service import Background, Service, serve
from notifier.courier import Courier
from notifier.handler import Notify
from notifier.mail_store import MailStore
from notifier.post import HttpSender
from notifier.postman import Postman
from notifier.secret import callback_secret
from notifier.settings import NotifierSettings, SigningSettings
from notifier.smtp import SmtpSender
from notifier.store import Store


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the notifier needs."""
    settings = NotifierSettings()
    crypt = Crypt.of_file(settings.encryption_keys_file)
    connector = guarded_connector(allow_private=settings.webhook_allow_private, limit=settings.slots)
    async with (
        open_pool(settings) as pool,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        store = Store(pool)
        courier = Courier(
            queue=store,
            sender=HttpSender(
                session=session, secret=callback_secret(settings), crypt=crypt, seconds=settings.webhook_seconds
            ),
            slots=settings.slots,
            claim_seconds=settings.webhook_seconds + 15.0,
            poll_seconds=settings.webhook_poll_seconds,
            scale=settings.webhook_time_scale,
        )
        stage = BatchStage(
            events=(JobCompleted, JobFailed, JobCancelled), handler=Notify(register=store, wake=courier.wake)
        )
        yield Service(
            name="notifier", settings=settings, stages=[stage], background=[courier, *_postman(settings, pool, crypt)]
        )


def _postman(settings: NotifierSettings, pool: asyncpg.Pool, crypt: Crypt) -> list[Background]:
    """Who sends mail; nobody where no server is set."""
    if settings.smtp_server is None:
        return []
    password = settings.smtp_pass
    sender = SmtpSender(
        server=settings.smtp_server,
        port=settings.smtp_port,
        user=settings.smtp_user,
        password=password.get_secret_value() if password is not None else None,
        sender=settings.sender,
        security=settings.security,
        seconds=settings.smtp_seconds,
    )
    postman = Postman(
        queue=MailStore(pool, crypt),
        sender=sender,
        # An attempt is about eight answers: greeting, EHLO twice, STARTTLS, AUTH, MAIL, RCPT, DATA, its end.
        claim_seconds=settings.smtp_seconds * 10,
        poll_seconds=settings.webhook_poll_seconds,
        scale=settings.webhook_time_scale,
    )
    return [postman]


if __name__ == "__main__":
    if sys.argv[1:] == ["secret"]:
        print(callback_secret(SigningSettings()))
    else:
        serve(build)

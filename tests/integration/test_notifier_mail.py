"""Mail through a real SMTP server from real rows: once each, tried again after bad days, a password over TLS only."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from notifier.mail_ports import Mail, Sent
from notifier.mail_store import MailStore
from notifier.postman import Postman
from notifier.smtp import SmtpSender
from support.mailserver import USER, WORD, certificate, mail_server
from support.platform import fresh_database
from support.waiting import eventually

CRYPT = Crypt([Fernet.generate_key().decode()])


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(database), _env_file=None)) as pool:
        await pool.execute("TRUNCATE mails")
        yield pool


async def put(pool: asyncpg.Pool, recipient: str, *, crypt: Crypt = CRYPT, text: str = "Hello.\n") -> UUID:
    mail = uuid4()
    body = crypt.encrypt(json.dumps({"subject": "Grüße", "text": text}))
    await pool.execute(
        "INSERT INTO mails (id, kind, recipient, body, created_at, due_at) VALUES ($1, 'test', $2, $3, now(), now())",
        *(mail, recipient, body),
    )
    return mail


def sender(port: int, **changes: Any) -> SmtpSender:
    values: dict[str, Any] = {
        "server": "localhost",
        "port": port,
        "user": None,
        "password": None,
        "sender": "scribewire@example.org",
        "security": "offered",
        "seconds": 5.0,
    }
    return SmtpSender(**values | changes)


@asynccontextmanager
async def postman(pool: asyncpg.Pool, send: Any, **changes: Any) -> AsyncIterator[None]:
    values: dict[str, Any] = {"claim_seconds": 30.0, "poll_seconds": 0.05, "scale": 0.001}
    task = asyncio.create_task(Postman(queue=MailStore(pool, CRYPT), sender=send, **values | changes)())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def noted(pool: asyncpg.Pool, mail: UUID, column: str) -> Callable[[], Awaitable[Any]]:
    return lambda: pool.fetchrow(f"SELECT * FROM mails WHERE id = $1 AND {column} IS NOT NULL", mail)


async def test_several_notifiers_send_each_mail_once_and_forget_its_text(pool: asyncpg.Pool) -> None:
    with mail_server() as server:
        mails = [await put(pool, f"ann{number}@example.org") for number in range(12)]
        async with postman(pool, sender(server.port)), postman(pool, sender(server.port)):
            rows = [await eventually(noted(pool, mail, "sent_at")) for mail in mails]
        assert sorted(server.recipients) == sorted(f"ann{number}@example.org" for number in range(12))
        assert {(row["body"], row["due_at"], row["attempts"]) for row in rows} == {(None, None, 1)}
        arrived = server.to("ann3@example.org")[0]
        assert arrived["Subject"] == "[Transcription Service] Grüße"
        assert arrived["From"] == "scribewire@example.org"
        assert arrived["Message-ID"] == f"<{mails[3]}@example.org>"
        assert arrived.get_content().split() == ["Hello."]


async def test_a_domain_of_other_letters_is_written_as_dns_knows_it(pool: asyncpg.Pool) -> None:
    with mail_server() as server:
        assert await sender(server.port).send(Mail(uuid4(), "ann@münchen.example", "s", "t", 0)) == Sent()
        assert server.recipients == ["ann@xn--mnchen-3ya.example"]


async def test_a_bad_day_is_waited_out_and_a_refusal_for_good_is_not(pool: asyncpg.Pool) -> None:
    with mail_server() as server:
        server.refuse += ["451 try later", "421 closing"]
        mail = await put(pool, "ann@example.org")
        async with postman(pool, sender(server.port)):
            row = await eventually(noted(pool, mail, "sent_at"))
            assert row["attempts"] == 3
            server.refuse += ["550 5.1.1 no such person: bob@example.org"]
            other = await put(pool, "bob@example.org")
            row = await eventually(noted(pool, other, "failed_at"))
        assert (row["attempts"], row["body"], row["last_error"]) == (1, None, "the recipient was refused (550)")
        assert server.recipients == ["ann@example.org"]


async def test_a_server_that_is_away_is_tried_again(pool: asyncpg.Pool, unused_tcp_port: int) -> None:
    mail = await put(pool, "ann@example.org")
    async with postman(pool, sender(unused_tcp_port), scale=1.0):
        row = await eventually(noted(pool, mail, "last_error"))
    assert row["last_error"] == "no connection to the server, or it broke"
    assert (row["attempts"], row["sent_at"], row["failed_at"]) == (1, None, None)
    assert row["body"] is not None


async def test_who_dies_after_sending_sends_once_more_and_no_oftener(pool: asyncpg.Pool) -> None:
    store = MailStore(pool, CRYPT)
    mail = await put(pool, "ann@example.org")
    with mail_server() as server:
        # Its process died here: the server has the mail, nobody noted it.
        claimed = await store.claim(5, seconds=0.2)
        assert await sender(server.port).send(claimed[0]) == Sent()
        assert await store.claim(5, seconds=0.2) == []
        async with postman(pool, sender(server.port)):
            await eventually(noted(pool, mail, "sent_at"))
        assert len({arrived["Message-ID"] for arrived in server.arrived}) == 1
        assert len(server.arrived) == 2
        assert await store.claim(5, seconds=0.2) == []


async def test_a_stop_lets_the_mail_under_way_be_noted(pool: asyncpg.Pool) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    class Slow:
        async def send(self, mail: Mail) -> Sent:
            begun.set()
            await let_go.wait()
            return Sent()

    mail = await put(pool, "ann@example.org")
    async with postman(pool, Slow()):
        await begun.wait()
        asyncio.get_running_loop().call_later(0.05, let_go.set)
    assert await noted(pool, mail, "sent_at")() is not None


async def test_with_a_password_mail_goes_over_tls_to_a_server_that_is_believed(
    pool: asyncpg.Pool, tmp_path: Path
) -> None:
    files = certificate(tmp_path)
    believed = ssl.create_default_context(cafile=files[0])
    secret = {"user": USER, "password": WORD, "security": "starttls"}
    mail = Mail(uuid4(), "ann@example.org", "s", "t", 0)
    with mail_server(files) as server:
        assert await sender(server.port, **secret, tls=believed).send(mail) == Sent()
        assert server.encrypted == [True]
        wrong = await sender(server.port, **secret | {"password": "no"}, tls=believed).send(mail)
        assert wrong == Sent("the server does not take the user and password")
        assert (await sender(server.port, **secret).send(mail)).error == "the server's certificate is not believed"
    with mail_server() as server:
        assert await sender(server.port, **secret).send(mail) == Sent("the server offers no STARTTLS")
        offered = await sender(server.port, **secret | {"security": "offered"}).send(mail)
        assert offered == Sent("the server offers no TLS, and the password is not sent without")
        assert server.arrived == []


async def test_a_mail_of_a_newer_key_waits_for_it(pool: asyncpg.Pool) -> None:
    mail = await put(pool, "ann@example.org", crypt=Crypt([Fernet.generate_key().decode()]))
    with mail_server() as server:
        async with postman(pool, sender(server.port)):
            row = await eventually(noted(pool, mail, "last_error"))
            assert row["due_at"] - row["created_at"] > timedelta(minutes=4)
            assert (row["failed_at"], server.arrived) == (None, [])

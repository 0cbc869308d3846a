"""Mail that people answer: lost passwords, registering, moving; from the gateway through the notifier's process."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import pytest

from gateway.identity import rules
from gateway.identity.throttle import login_limits
from support.gateway import KEY, RunningGateway, encryption_keys, prepare, problem, running_gateway
from support.mailserver import MailServer, mail_server
from support.people import PASSWORD, Person, call, registration, visitor
from support.platform import fresh_database
from support.waiting import eventually

NEW = "Brand-new-horse-9"


@dataclass(frozen=True)
class World:
    """A gateway that sends mail, and the server where it arrives."""

    gateway: RunningGateway
    server: MailServer

    async def mail(self, to: str, kind: str, number: int = 1) -> EmailMessage:
        """The mail of a kind that somebody gets."""

        def found() -> list[EmailMessage]:
            return [mail for mail in self.server.to(to) if kind in mail["Subject"]][number - 1 :]

        return (await eventually(found, why=f"{kind} for {to}"))[0]


@pytest.fixture(scope="module")
async def world(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "operator.key").write_text(KEY)
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with mail_server() as server:
        environment = inherited | {
            "SCRIBEWIRE_KAFKA": kafka_bootstrap,
            "DATABASE_URL": dsn,
            "SCRIBEWIRE_OPERATOR_KEY_FILE": str(folder / "operator.key"),
            "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(encryption_keys(folder)),
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": str(server.port),
            "SCRIBEWIRE_MAIL_SENDER": "Scribewire <scribewire@example.org>",
            "SCRIBEWIRE_WEBHOOK_POLL_SECONDS": "0.1",
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "notifier", env=environment, cwd=folder)
        try:
            async with running_gateway(
                *(kafka_bootstrap, dsn, folder),
                trusted_proxies="127.0.0.0/8",
                smtp_server="127.0.0.1",
                public_url="https://scribewire.example.org/",
            ) as gateway:
                yield World(gateway, server)
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)


@pytest.fixture
async def person(world: World) -> AsyncIterator[Person]:
    """Somebody who registered by mail."""
    asked = registration()
    async with visitor(world.gateway.url) as http:
        said = await call(http, "POST", "/auth/register", asked, status=202)
        assert said["status"] == "mail_sent"
        token = token_of(await world.mail(asked["email"], "Confirm your e-mail"))
        tokens = await call(http, "POST", "/auth/confirm", {"token": token}, status=201)
        yield Person(http, asked["email"], asked["username"], PASSWORD, tokens)


def token_of(mail: EmailMessage) -> str:
    """The token in a mail's link, which leads to where people find the gateway."""
    link = re.search(r"https://scribewire\.example\.org/auth/\S+", mail.get_content())
    assert link is not None
    return parse_qs(urlsplit(link[0]).query)["token"][0]


async def test_a_lost_password_is_set_anew_by_mail_once(world: World, person: Person) -> None:
    answers = [
        await call(person.http, "POST", "/auth/forgot-password", {"email": email}, status=202)
        for email in (person.email.upper(), "nobody@example.org")
    ]
    assert answers[0] == answers[1]
    mail = await world.mail(person.email, "Set a new password")
    assert mail["Subject"] == "[Transcription Service] Set a new password"
    token = token_of(mail)
    body = {"token": token, "password": NEW}
    async with person.http.post("/auth/reset-password", json=body | {"password": "weak"}) as answer:
        await problem(answer, 422, "invalid-request")
    await call(person.http, "POST", "/auth/reset-password", body)
    async with person.http.post("/auth/reset-password", json=body) as answer:
        await problem(answer, 422, "bad-token")
    await person.get("/v1/account", status=401)
    await call(person.http, "POST", "/auth/login", {"email": person.email, "password": PASSWORD}, status=401)
    await person.login(email=person.email, password=NEW)
    await world.mail(person.email, "password was changed")
    assert world.server.to("nobody@example.org") == []
    async with world.gateway.http.get("/v1/admin/audit", params={"actor": person.id, "action": "password"}) as answer:
        assert [line["action"] for line in (await answer.json())["lines"]] == ["password.reset"]


async def test_who_sets_a_password_by_mail_need_not_wait_for_those_who_guess(world: World, person: Person) -> None:
    await call(person.http, "POST", "/auth/forgot-password", {"email": person.email}, status=202)
    token = token_of(await world.mail(person.email, "Set a new password"))
    async with visitor(world.gateway.url) as http:
        here = http.headers["X-Forwarded-For"]
        for limit in login_limits(rules.key(person.email), here, at_home=False):
            if not limit.key.startswith("login from"):
                await world.gateway.sql(
                    "INSERT INTO throttles VALUES ($1, 30, now(), now() + interval '50 s')"
                    " ON CONFLICT (key) DO UPDATE SET attempts = 30, until = now() + interval '50 s'",
                    limit.key,
                )
        login = {"email": person.email, "password": NEW}
        await call(http, "POST", "/auth/login", login, status=429)
        await call(http, "POST", "/auth/reset-password", {"token": token, "password": NEW})
        await call(http, "POST", "/auth/login", login)
        async with visitor(world.gateway.url) as stranger:
            await call(stranger, "POST", "/auth/login", login, status=429)


async def test_only_the_newest_token_is_good_and_not_for_long(world: World, person: Person) -> None:
    tokens = []
    for number in (1, 2):
        await call(person.http, "POST", "/v1/auth/forgot-password", {"email": person.email}, status=202)
        tokens.append(token_of(await world.mail(person.email, "Set a new password", number)))
    async with person.http.post("/v1/auth/reset-password", json={"token": tokens[0], "password": NEW}) as answer:
        await problem(answer, 422, "bad-token")
    await world.gateway.sql("UPDATE resets SET expires_at = now()")
    async with person.http.post("/v1/auth/reset-password", json={"token": tokens[1], "password": NEW}) as answer:
        await problem(answer, 422, "bad-token")
    await person.login()


async def test_the_link_leads_to_a_form_that_does_the_same(world: World, person: Person) -> None:
    await call(person.http, "POST", "/auth/forgot-password", {"email": person.email}, status=202)
    token = token_of(await world.mail(person.email, "Set a new password"))
    for _ in range(2):  # Programs that look into mails open links as well.
        async with person.http.get("/auth/reset-password", params={"token": token}) as answer:
            assert answer.status == 200
            assert f'name="token" value="{token}"' in await answer.text()
    async with person.http.get("/auth/reset-password", params={"token": '"><script>'}) as answer:
        assert "<script>" not in await answer.text()
    status, page = await send(person.http, "/auth/reset-password/form", token=token, password="weak")
    assert status == 422
    assert "must have at least 8 characters" in page
    status, page = await send(person.http, "/auth/reset-password/form", token=token, password=NEW)
    assert (status, "The password is set" in page) == (200, True)
    status, page = await send(person.http, "/auth/reset-password/form", token=token, password=NEW)
    assert (status, "ask for another mail" in page) == (422, True)
    await person.login(email=person.email, password=NEW)


async def test_registering_tells_nobody_who_has_an_account(world: World, person: Person) -> None:
    free = registration()
    async with visitor(world.gateway.url) as http:
        said = [
            await call(http, "POST", "/v1/auth/register", registration(email=email), status=202)
            for email in (free["email"], person.email)
        ]
        assert said[0] == said[1]
        warned = await world.mail(person.email, "You have an account already")
        assert "token=" not in warned.get_content()
        # Nothing is kept of who does not answer, so that nobody takes an address by asking for it.
        token = token_of(await world.mail(free["email"], "Confirm your e-mail"))
        await call(http, "POST", "/auth/login", {"email": free["email"], "password": PASSWORD}, status=401)
        status, page = await send(http, "/auth/confirm/form", token=token)
        assert (status, "The address is confirmed" in page) == (200, True)
        tokens = await call(http, "POST", "/auth/login", {"email": free["email"], "password": PASSWORD})
        assert tokens["user"]["email_confirmed"] is True
        assert tokens["user"]["first_name"] == "Ann"
        await call(http, "POST", "/auth/confirm", {"token": token}, status=422)
        async with http.post("/auth/confirm", json={"token": token[:-4] + "AAAA"}) as answer:
            await problem(answer, 422, "bad-token")
        async with http.post("/auth/register", json=registration(username=person.username.upper())) as answer:
            assert (await problem(answer, 409, "taken"))["errors"][0]["field"] == "username"


async def test_another_address_counts_once_its_mail_is_answered(world: World, person: Person) -> None:
    new = f"moved.{person.username}@example.org"
    change = {"email": new, "current_password": PASSWORD}
    assert (await person.post("/v1/account", change, method="PATCH"))["email"] != new
    token = token_of(await world.mail(new, "Confirm your new"))
    await call(person.http, "POST", "/v1/auth/confirm", {"token": token})
    assert (await person.get("/v1/account"))["email"] == new
    told = await world.mail(person.email, "address was changed")
    assert new not in told.get_content()
    async with person.http.post("/v1/auth/confirm", json={"token": token}) as answer:
        await problem(answer, 422, "bad-token")


async def test_links_end_with_the_password_and_the_address(world: World, person: Person) -> None:
    async def reset_asked(to: str, number: int = 1) -> str:
        await call(person.http, "POST", "/auth/forgot-password", {"email": to}, status=202)
        return token_of(await world.mail(to, "Set a new password", number))

    async def good_no_more(path: str, **body: str) -> None:
        async with person.http.post(path, json=body) as answer:
            await problem(answer, 422, "bad-token")

    thiefs, own = f"thief.{person.username}@example.org", f"moved.{person.username}@example.org"
    await person.post("/v1/account", {"email": thiefs, "current_password": PASSWORD}, method="PATCH")
    told = await world.mail(person.email, "is to be changed")
    assert thiefs not in told.get_content()
    moves = token_of(await world.mail(thiefs, "Confirm your new"))
    resets = await reset_asked(person.email)
    await person.post("/auth/change-password", {"current_password": PASSWORD, "new_password": NEW})
    await good_no_more("/auth/confirm", token=moves)
    await good_no_more("/auth/reset-password", token=resets, password=PASSWORD)

    await person.post("/v1/account", {"email": own, "current_password": NEW}, method="PATCH")
    moves = token_of(await world.mail(own, "Confirm your new"))
    resets = await reset_asked(person.email, 2)
    await call(person.http, "POST", "/auth/confirm", {"token": moves})
    await good_no_more("/auth/reset-password", token=resets, password=PASSWORD)
    assert (await person.get("/v1/account"))["email"] == own


async def test_nobody_fills_a_mailbox_by_asking_for_its_address(world: World, person: Person) -> None:
    change = {"email": f"often.{person.username}@example.org", "current_password": PASSWORD}
    for _ in range(3):
        await person.post("/v1/account", change, method="PATCH")
    async with person.http.patch("/v1/account", json=change, headers=person.headers) as answer:
        await problem(answer, 429, "too-many-attempts")
    connection = await asyncpg.connect(world.gateway.dsn)
    counted = await connection.fetch("SELECT key FROM throttles")
    await connection.close()
    assert [row["key"] for row in counted if "mail " in row["key"]]
    assert [row["key"] for row in counted if "@" in row["key"]] == []


async def send(http: aiohttp.ClientSession, path: str, **fields: str) -> tuple[int, str]:
    async with http.post(path, data=fields) as answer:
        assert answer.content_type == "text/html"
        return answer.status, await answer.text()

"""S8: a dump of the database has no credential in it, whichever kind; a gateway without Kafka makes one of each."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.db.rotate import rotate
from gateway.app import application
from gateway.database import Database
from gateway.identity.opened import open_door
from gateway.identity.room import Identity
from gateway.problems import NOT_FOUND, Handler, Problem
from gateway.routes import ROUTES
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.walls.outside import outside
from gateway.webhooks import WebhooksApi
from support.fake_oidc import AUDIENCE, FakeIssuer, fake_issuer
from support.gateway import KEY, encryption_keys
from support.people import PASSWORD, Person, call, registration
from support.platform import fresh_database
from support.waiting import eventually

PEPPER = "a pepper for the tests"


@dataclass(frozen=True)
class Desk:
    """The part of a gateway that gives credentials out, the database behind it, and the issuer it trusts."""

    url: str
    dsn: str
    crypt: Crypt
    issuer: FakeIssuer

    async def rows(self, statement: str) -> list[Any]:
        """What the database holds."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def mailed(self, kind: str) -> str:
        """The token in a mail that waits to be sent."""

        async def waits() -> list[Any]:
            return await self.rows(f"SELECT body FROM mails WHERE kind = '{kind}'")

        body = self.crypt.decrypt((await eventually(waits, 10))[0]["body"])
        link = re.search(r"https://scribewire\.example\.org/auth/\S+token=[^\s\"\\]+", body)
        assert link is not None
        return parse_qs(urlsplit(link[0]).query)["token"][0]

    async def dump(self) -> str:
        """Every row of every table as text."""
        tables = [row[0] for row in await self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert {"accounts", "sessions", "api_keys", "signing_keys", "webhook_endpoints", "mails"} <= set(tables)
        texts = [await self.rows(f'SELECT t::text FROM public."{table}" t') for table in tables]
        return "\n".join(row[0] for found in texts for row in found)


@pytest.fixture
async def desk(postgres_server_dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    (tmp_path / "operator.key").write_text(KEY)
    keys = encryption_keys(tmp_path)
    async with fake_issuer() as issuer:
        values: dict[str, Any] = {
            "oidc_issuer": issuer.url,
            "oidc_audience": AUDIENCE,
            "key_pepper": PEPPER,
            "smtp_server": "mail.example.org",
            "public_url": "https://scribewire.example.org",
            "_env_file": None,
        }
        settings = GatewaySettings(
            database_url=SecretStr(dsn),
            operator_key_file=tmp_path / "operator.key",
            encryption_keys_file=keys,
            **values,
        )
        crypt = Crypt.of_file(keys)
        async with serving(settings, crypt) as url:
            yield Desk(url, dsn, crypt, issuer)


@asynccontextmanager
async def serving(settings: GatewaySettings, crypt: Crypt) -> AsyncIterator[str]:
    """Accounts, keys, tokens and webhooks at their addresses; the other addresses have nobody behind them."""

    async def absent(_request: web.Request) -> web.StreamResponse:
        raise Problem(NOT_FOUND, "Nobody is here.")

    async with open_pool(settings) as pool:
        database = Database(pool, seconds=10)
        identity = Identity(database=database, crypt=crypt, settings=settings)
        async with open_door(
            settings,
            database=database,
            crypt=crypt,
            audit=identity.audit,
            ended=identity.ended,
            sessions=identity.sessions,
            accounts=identity.accounts,
        ) as entrance:
            webhooks = WebhooksApi(store=Store(database), crypt=crypt, allow_private=False)
            handlers: dict[str, Handler] = {route.operation: absent for route in ROUTES} | {
                **identity.handlers(entrance.tokens),
                **entrance.handlers,
                "add_webhook": webhooks.add,
            }
            app = application(handlers, entrance.door, outside(settings, identity.callers), noted=identity.trail.add)
            async with TestServer(app) as server:
                yield str(server.make_url("/")).rstrip("/")
        await identity.close()


async def test_a_dump_of_the_database_has_no_credential_in_it(desk: Desk) -> None:
    async with aiohttp.ClientSession(desk.url) as http:
        asked = registration()
        await call(http, "POST", "/v1/auth/register", asked, status=202)
        confirm = await desk.mailed("confirm_registration")
        tokens = await call(http, "POST", "/v1/auth/confirm", {"token": confirm}, status=201)
        ann = Person(http, asked["email"], asked["username"], PASSWORD, tokens)
        key = await ann.post("/v1/keys", {"name": "dumped"}, status=201)
        rotated = await ann.post(f"/v1/keys/{key['id']}/rotate", status=201)
        stream = await ann.post("/v1/stream-tokens", {}, status=201)
        webhook = await ann.post("/v1/webhooks", {"url": "https://example.org/hook"}, status=201)
        renewed = await call(http, "POST", "/v1/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        await call(http, "POST", "/v1/auth/forgot-password", {"email": ann.email}, status=202)
        reset = await desk.mailed("password_reset")
        foreign = desk.issuer.token(sub="auth0|dumped")
        await call(http, "GET", "/v1/account", headers={"Authorization": f"Bearer {foreign}"})
    credentials = {
        "password": PASSWORD,
        "access token": tokens["access_token"],
        "refresh token": tokens["refresh_token"],
        "its secret": tokens["refresh_token"].partition("_")[2],
        "next access token": renewed["access_token"],
        "next refresh token": renewed["refresh_token"],
        "API key": key["key"],
        "its part behind the prefix": key["key"].removeprefix(key["prefix"]),
        "rotated API key": rotated["key"],
        "stream token": stream["token"],
        "signature of the stream token": stream["token"].split(".")[2],
        "webhook secret": webhook["secret"],
        "its part behind the prefix, too": webhook["secret"].removeprefix("whsec_"),
        "token of the mail that confirms": confirm,
        "token of the mail that sets a password": reset,
        "other issuer's token": foreign,
        "signature of the other issuer's token": foreign.split(".")[2],
        "operator's key": KEY,
        "pepper": PEPPER,
    }
    for number, row in enumerate(await desk.rows("SELECT private_key FROM signing_keys")):
        credentials[f"signing key {number}"] = desk.crypt.decrypt(row["private_key"]).split('"d": "')[1].split('"')[0]
    assert "signing key 0" in credentials
    assert len(set(credentials.values())) == len(credentials), "each is another text"

    dumped = await desk.dump()
    for known in (ann.id, key["prefix"], webhook["id"], "auth0|dumped"):
        assert known in dumped, "what is no secret is there"
    assert [name for name, secret in credentials.items() if any(form in dumped for form in forms(secret))] == []


async def test_a_secret_that_an_earlier_release_stored_in_clear_is_gone_after_rotating(desk: Desk) -> None:
    secret = "whsec_" + base64.b64encode(b"an old secret of thirty-two byte").decode()
    connection = await asyncpg.connect(desk.dsn)
    await connection.execute(
        "INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at)"
        " VALUES ($1, 'ann', 'https://example.org', $2, '{}', now())",
        *(uuid4(), secret),
    )
    await connection.close()
    before = await desk.dump()
    assert any(form in before for form in forms(secret))
    done = await rotate(SecretStr(desk.dsn), desk.crypt)
    assert done["webhook_endpoints.secret"].renewed == 1
    after = await desk.dump()
    assert not any(form in after for form in forms(secret))


def forms(secret: str) -> list[str]:
    """How a secret may stand in a dump: as it is, in hex, in base64; and so what it is the base64 of, where it is."""
    raws = [secret.encode()]
    for form in (secret, secret.removeprefix("whsec_")):
        try:
            raws.append(base64.b64decode(form + "==", altchars=b"-_" if "-" in form or "_" in form else None))
        except ValueError:
            continue
    found = [secret]
    for raw in filter(lambda raw: len(raw) >= 8, raws):
        found += [raw.hex(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")]
    return found

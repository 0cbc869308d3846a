"""Who comes in, what they agreed to, and what must not begin again; over HTTP and PostgreSQL alone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
import pytest
from pydantic import SecretStr

from common.db.migrate import migrate
from gateway.identity.account_store import NewAccount
from gateway.identity.confirmation import Confirmations
from gateway.identity.importer import Old, bring_over
from support.fake_oidc import AUDIENCE, FakeIssuer, fake_issuer
from support.gateway import KEY
from support.lobby import Lobby, lobby
from support.people import PASSWORD, Person, call, somebody, visitor
from support.platform import fresh_database
from support.waiting import eventually

LEGACY = "the-one-key-of-old"
OPERATOR = {"x-api-key": KEY}


class World(NamedTuple):
    """A gateway's lobby, the issuer it trusts, and its database."""

    lobby: Lobby
    issuer: FakeIssuer
    dsn: str

    @property
    def url(self) -> str:
        """Where it serves."""
        return self.lobby.url

    def stranger(self, **claims: Any) -> dict[str, str]:
        """Headers of somebody whom the issuer logged in just now."""
        return {"Authorization": f"Bearer {self.issuer.token(**({'sub': f'auth0|{uuid4()}'} | claims))}"}

    async def rows(self, statement: str, *values: object) -> list[Any]:
        """What the database holds."""
        return list(await self.lobby.pool.fetch(statement, *values))


@pytest.fixture(scope="module")
async def world(postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    folder = tmp_path_factory.mktemp("access")
    async with (
        fake_issuer() as issuer,
        lobby(
            dsn,
            folder,
            oidc_issuer=issuer.url,
            oidc_audience=AUDIENCE,
            oidc_scope_names={"transcribe": "jobs:write jobs:read"},
            key_pepper="a pepper for the tests",
            legacy_api_key=LEGACY,
        ) as served,
    ):
        yield World(served, issuer, dsn)


@pytest.fixture
async def http(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    async with visitor(world.url) as http:
        yield http


@pytest.fixture
async def ann(world: World) -> AsyncIterator[Person]:
    async with somebody(world.url) as person:
        yield person


async def test_an_encrypted_name_is_never_taken_for_a_link_of_a_mail(world: World, ann: Person) -> None:
    said = {"confirm": "register", "until": 4e9, "values": {"email": None, "password_hash": None, "consents": {}}}
    said["values"]["role"] = "admin"  # type: ignore[index]
    company = json.dumps(said)
    await ann.post("/v1/account", {"company": company}, method="PATCH")
    [row] = await world.rows("SELECT company FROM accounts WHERE id = $1", UUID(ann.id))
    assert world.lobby.crypt.decrypt(row["company"]) == company
    await call(ann.http, "POST", "/v1/auth/confirm", {"token": row["company"]}, status=422)


async def test_a_link_gives_neither_a_role_nor_a_plan_and_works_once(world: World, http: aiohttp.ClientSession) -> None:
    values = {"email": "eve@example.org", "username": None, "password_hash": None}
    names = dict.fromkeys(("first_name", "last_name", "company"))
    token = Confirmations(world.lobby.crypt).token(
        "register", **values, **names, consents={"gdpr_consent": True}, role="admin", plan="enterprise"
    )
    # However it is spelled: what is no letter of base64 is passed over by who reads it.
    spelled = [token, token, f"{token[:9]}\n{token[9:]}"]

    async def answer(text: str) -> tuple[int, Any]:
        async with http.post("/v1/auth/confirm", json={"token": text}) as answer:
            return answer.status, await answer.json()

    answers = await asyncio.gather(*map(answer, spelled))
    assert sorted(status for status, _ in answers) == [201, 422, 422]
    [made] = [body for status, body in answers if status == 201]
    assert (made["user"]["role"], made["user"]["plan"]) == ("user", "free")
    async with http.delete("/v1/account", headers={"Authorization": f"Bearer {made['access_token']}"}) as gone:
        assert gone.status == 202
    assert (await answer(token))[0] == 422, "an account that was deleted is not made anew"
    assert await world.rows("SELECT id FROM accounts WHERE email = 'eve@example.org'") == []


async def test_a_used_link_is_forgotten_a_day_after_its_end(world: World) -> None:
    now = datetime.now(UTC)
    ended, just = b"ended", b"just"
    for digest, until in ((ended, now - timedelta(hours=25)), (just, now - timedelta(hours=23))):
        await world.rows("INSERT INTO used_confirmations (digest, until) VALUES ($1, $2)", digest, until)
        await world.rows("INSERT INTO ended_identities (digest, ended_at) VALUES ($1, $2)", digest, until)
    await world.rows("UPDATE ended_identities SET ended_at = now() - interval '32 days' WHERE digest = $1", ended)
    for kept in (world.lobby.identity._used, world.lobby.identity.ended):
        await kept.tidy()
    for table in ("used_confirmations", "ended_identities"):
        found = await world.rows(f"SELECT digest FROM {table} WHERE digest = ANY($1)", [ended, just])
        assert [row["digest"] for row in found] == [just]


async def test_who_ended_their_account_comes_back_by_a_new_login_alone(
    world: World, http: aiohttp.ClientSession
) -> None:
    now, sub = int(time.time()), f"auth0|{uuid4()}"
    old, older = (world.stranger(sub=sub, iat=at) for at in (now - 5, now - 600))
    first = await call(http, "GET", "/v1/account", headers=old)
    async with http.delete("/v1/account", headers=old) as answer:
        assert answer.status in {202, 204}
    for token in (old, older):
        await call(http, "GET", "/v1/account", headers=token, status=401)
    found = await world.rows("SELECT digest FROM ended_identities")
    assert all(sub.encode() not in row["digest"] for row in found)
    again = await call(http, "GET", "/v1/account", headers=world.stranger(sub=sub, iat=now + 3))
    assert again["id"] != first["id"]
    ancient = world.stranger(iat=now - 31 * 86400)
    await call(http, "GET", "/v1/account", headers=ancient, status=401)


async def test_without_consent_nothing_new_is_taken_of_who_comes_from_elsewhere(
    world: World, http: aiohttp.ClientSession
) -> None:
    token = world.stranger()
    account = (await call(http, "GET", "/v1/account", headers=token))["id"]
    for path in ("/v1/jobs", "/v1/uploads", "/v1/batches"):
        refused = await call(http, "POST", path, headers=token, status=403)
        assert refused["type"] == "urn:scribewire:problem:consent-required"
        assert refused["missing"] == ["gdpr_consent", "data_retention_agreed"]
    await call(http, "GET", "/v1/jobs", headers=token, status=202)  # what there is may be seen, and deleted
    await call(http, "DELETE", f"/v1/jobs/{uuid4()}", headers=token, status=202)
    for path in ("/v1/account", "/auth/profile"):
        wrong = await call(http, "PATCH", path, {"gdpr_consent": False}, headers=token, status=422)
        assert wrong["errors"][0]["field"] == "gdpr_consent"
        assert "DELETE /v1/account" in wrong["errors"][0]["message"]
    await call(http, "PATCH", "/v1/account", {"gdpr_consent": True}, headers=token)
    refused = await call(http, "POST", "/v1/jobs", headers=token, status=403)
    assert refused["missing"] == ["data_retention_agreed"]
    agreed = await call(http, "PATCH", "/v1/account", {"data_retention_agreed": True}, headers=token)
    assert agreed["consents"] == {"gdpr_consent": True, "data_retention_agreed": True, "marketing_consent": False}
    assert (await call(http, "POST", "/v1/jobs", headers=token, status=202))["owner"] == account
    kept = await world.rows("SELECT kind, given, at, ip FROM consents WHERE account_id = $1 ORDER BY at", UUID(account))
    assert [(row["kind"], row["given"], row["ip"].startswith("198.18.")) for row in kept] == [
        ("gdpr_consent", True, True),
        ("data_retention_agreed", True, True),
    ]
    # Agreeing again adds nothing to the record.
    await call(http, "PATCH", "/v1/account", {"gdpr_consent": True}, headers=token)
    assert len(await world.rows("SELECT id FROM consents WHERE account_id = $1", UUID(account))) == 2


async def test_who_did_not_come_from_elsewhere_is_asked_for_no_consent(world: World, ann: Person) -> None:
    plain = NewAccount(email=None, username=f"admin.{uuid4()}"[:30], password_hash=None, consents={}, role="admin")
    made = await world.lobby.identity.accounts.add(plain)
    await world.lobby.identity.consent.check(made.owner)
    for headers in (OPERATOR, {"x-api-key": LEGACY}, ann.headers):
        await call(ann.http, "POST", "/v1/jobs", headers=headers, status=202)


async def test_a_login_elsewhere_is_noted_once_for_each_token(world: World, http: aiohttp.ClientSession) -> None:
    sub = f"auth0|{uuid4()}"
    first, second = world.stranger(sub=sub), world.stranger(sub=sub, jti="another")
    shown = await asyncio.gather(*(call(http, "GET", "/v1/account", headers=first) for _ in range(5)))
    account = shown[0]["id"]
    before = (await call(http, "GET", "/v1/account", headers=first))["last_login"]
    assert before is not None
    assert (await call(http, "GET", "/v1/account", headers=second))["last_login"] > before
    said = "SELECT details, ip FROM audit_log WHERE actor = $1 AND action = 'login.succeeded'"
    lines = await world.rows(said, account)
    assert [row["details"] for row in lines] == [{"issuer": world.issuer.url}] * 2
    # Another gateway, or this one after a restart, sees the same token for the first time.
    async with lobby(
        world.dsn, Path(world.lobby.identity._settings.operator_key_file).parent,
        oidc_issuer=world.issuer.url, oidc_audience=AUDIENCE,
    ) as other, visitor(other.url) as there:  # fmt: skip
        await call(there, "GET", "/v1/account", headers=first)
    assert len(await world.rows(said, account)) == 2


@pytest.mark.parametrize(
    ("claims", "allowed", "refused"),
    [
        ({}, "/v1/account", "/v1/keys"),
        ({"scope": "openid profile"}, "/v1/account", "/v1/keys"),
        ({"scope": "openid keys"}, "/v1/keys", "/v1/account"),
        ({"permissions": ["keys", 7]}, "/v1/keys", "/v1/jobs"),
        ({"scope": "transcribe"}, "/v1/jobs", "/v1/account"),
        ({"scope": "account stream"}, "/v1/account", "/v1/jobs"),
    ],
)
async def test_a_token_of_another_issuer_may_do_what_it_says(
    world: World, http: aiohttp.ClientSession, claims: dict[str, Any], allowed: str, refused: str
) -> None:
    token = world.stranger(**claims)
    async with http.get(allowed, headers=token) as answer:
        assert answer.status in {200, 202}
    problem = await call(http, "GET", refused, headers=token, status=403)
    assert problem["scope"] in {"keys", "account", "jobs:read"}


async def test_an_admin_from_elsewhere_is_one_where_the_token_says_so(
    world: World, http: aiohttp.ClientSession
) -> None:
    sub = f"auth0|{uuid4()}"
    account = (await call(http, "GET", "/v1/account", headers=world.stranger(sub=sub)))["id"]
    asked = world.stranger(sub=sub, scope="admin")
    await call(http, "GET", "/v1/admin/accounts", headers=asked, status=403)
    await world.rows("UPDATE accounts SET role = 'admin' WHERE id = $1", UUID(account))
    await call(http, "GET", "/v1/admin/accounts", headers=world.stranger(sub=sub, jti="1"), status=403)
    await call(http, "GET", "/v1/admin/accounts", headers=world.stranger(sub=sub, jti="2", scope="admin"))


async def test_an_old_token_of_another_issuer_ends_no_account_and_moves_none(
    world: World, http: aiohttp.ClientSession
) -> None:
    token = world.stranger(iat=int(time.time()) - 1000)
    await call(http, "GET", "/v1/account", headers=token)
    gone = await call(http, "DELETE", "/v1/account", headers=token, status=403)
    moved = await call(http, "PATCH", "/v1/account", {"email": "x@example.org"}, headers=token, status=403)
    assert "log in again at your issuer" in gone["detail"]
    assert "log in again at your issuer" in moved["detail"]
    await call(http, "GET", "/v1/account", headers=token)


async def test_a_good_key_is_not_hidden_by_what_is_no_use_beside_it(world: World, ann: Person) -> None:
    key = (await ann.post("/v1/keys", {"name": "laptop"}, status=201))["key"]
    ended = world.stranger(exp=int(time.time()) - 100)
    for useless in (*({"Authorization": text} for text in ("Bearer ", "Bearer", "Bearer a.b.c")), ended):
        answered = await call(ann.http, "GET", "/v1/jobs", headers={**useless, "x-api-key": key}, status=202)
        assert answered["owner"] == ann.id
        await call(ann.http, "GET", "/v1/jobs", headers={**useless, "x-api-key": key[:-1]}, status=401)
    # What is good goes first: a key beside it changes nothing, good or bad.
    for beside in (LEGACY, "wrong"):
        answered = await call(ann.http, "GET", "/v1/jobs", headers={**ann.headers, "x-api-key": beside}, status=202)
        assert answered["owner"] == ann.id


async def test_a_key_has_a_name_without_tags(ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "my <<b>script>laptop"}, status=201)
    assert made["name"] == "my laptop"
    for name in ("<b>", "\u0958" * 100):  # of which each is two characters in NFC
        refused = await ann.post("/v1/keys", {"name": name}, status=422)
        assert refused["errors"][0]["field"] == "name"


async def test_what_was_agreed_to_in_the_old_system_keeps_its_time(world: World, ann: Person) -> None:
    then = datetime(2023, 5, 6, 7, 8, 9, tzinfo=UTC)
    old = Old(
        source=f"flask:{uuid4()}", email=f"{uuid4()}@example.org", password_hash=None, created_at=then,
        consents={"gdpr_consent": True, "marketing_consent": False},
    )  # fmt: skip
    report = await bring_over(world.dsn, world.lobby.crypt, [old])
    assert report.counts == {"imported": 1}
    kept = await world.rows("SELECT kind, at, ip FROM consents WHERE account_id = $1 ORDER BY kind", old.id)
    assert [tuple(row) for row in kept] == [("gdpr_consent", then, None), ("marketing_consent", then, None)]


async def test_the_owner_of_the_one_key_of_old_is_administered_as_others_are(http: aiohttp.ClientSession) -> None:
    address = "/v1/admin/accounts/legacy/limits"
    changed = await call(http, "PATCH", address, {"jobs_per_hour": 7}, headers=OPERATOR)
    assert (changed["limits"]["jobs_per_hour"], changed["changed"]) == (7, ["jobs_per_hour"])
    assert (await call(http, "GET", address, headers=OPERATOR)) == changed
    mine = await call(http, "GET", "/v1/limits", headers={"x-api-key": LEGACY})
    assert mine["jobs_per_hour"]["limit"] == 7
    for path in ("/v1/usage", "/v1/usage/records"):
        await call(http, "GET", f"{path}?user=legacy", headers=OPERATOR)
    assert (await call(http, "GET", "/v1/usage?user=legacy", headers=OPERATOR))["user"] == "legacy"
    for unknown in ("operator", "LEGACY", str(uuid4())):
        await call(http, "GET", f"/v1/admin/accounts/{unknown}/limits", headers=OPERATOR, status=404)


async def test_a_profile_is_changed_whole_or_not_at_all(world: World, ann: Person) -> None:
    before = await ann.get("/v1/account")
    async with somebody(world.url) as ben:
        taken = {
            "username": f"new.{uuid4()}"[:30], "first_name": "New", "marketing_consent": True,
            "email": ben.email, "current_password": PASSWORD,
        }  # fmt: skip
        refused = await ann.post("/v1/account", taken, method="PATCH", status=409)
        assert refused["errors"] == [{"field": "email", "message": "is taken"}]
        assert await ann.get("/v1/account") == before
        taken |= {"username": ben.username, "email": "free@example.org"}
        refused = await ann.post("/v1/account", taken, method="PATCH", status=409)
        assert refused["errors"] == [{"field": "username", "message": "is taken"}]
    assert await ann.get("/v1/account") == before
    assert await world.rows("SELECT id FROM audit_log WHERE actor = $1 AND action LIKE 'account.%ed'", ann.id) == (
        await world.rows("SELECT id FROM audit_log WHERE actor = $1 AND action = 'account.registered'", ann.id)
    )
    # Nor where only the address may not be asked for so often.
    for number in range(30):
        async with ann.http.patch(
            "/v1/account", headers=ann.headers,
            json={"email": ben.email, "current_password": PASSWORD, "first_name": f"Number {number}"},
        ) as answer:  # fmt: skip
            if answer.status == 429:
                break
            assert answer.status == 409
    assert answer.status == 429
    assert (await ann.get("/v1/account"))["first_name"] == before["first_name"]


async def test_a_stream_token_does_not_outlive_what_it_was_made_with(world: World, ann: Person) -> None:
    async def opens(token: str) -> bool:
        async with ann.http.get(f"/v1/jobs/{uuid4()}/events", params={"access_token": token}) as answer:
            assert answer.status in {202, 401}
            return answer.status == 202

    async def made(headers: dict[str, str]) -> str:
        body = {"seconds": 600}
        return str((await call(ann.http, "POST", "/v1/stream-tokens", body, status=201, headers=headers))["token"])

    key = await ann.post("/v1/keys", {"name": "k", "scopes": ["jobs:read", "keys"]}, status=201)
    by_key, of_operator = await made({"x-api-key": key["key"]}), await made(OPERATOR)
    here = await made(ann.headers)
    there = await made({"Authorization": f"Bearer {(await ann.login())['access_token']}"})
    assert [await opens(token) for token in (by_key, here, there, of_operator)] == [True] * 4
    change = {"current_password": PASSWORD, "new_password": "Other-horse-8"}
    await ann.post("/v1/auth/change-password", change)  # ends every session but the one it came with
    assert not await opens(here)
    async with ann.http.delete(f"/v1/keys/{key['id']}", headers=ann.headers) as answer:
        assert answer.status == 204
    assert not await opens(by_key)
    assert await opens(there)
    await ann.post("/v1/auth/logout-all")
    assert not await opens(there)
    assert await opens(of_operator)


async def test_a_refused_identity_is_told_in_the_audit_log(world: World, http: aiohttp.ClientSession) -> None:
    sub = f"auth0|{uuid4()}"
    token = world.stranger(sub=sub)
    await call(http, "GET", "/v1/account", headers=token)
    async with http.delete("/v1/account", headers=token) as answer:
        assert answer.status in {202, 204}
    await call(http, "GET", "/v1/account", headers=token, status=401)
    said = "SELECT id FROM audit_log WHERE action = 'token.refused' AND details->>'reason' = 'account_ended'"
    await eventually(lambda: world.rows(said), why="the refusal in the audit log")

"""Tokens over HTTP: our own, those for streams, and another issuer's, which may be forged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs

from support.fake_oidc import AUDIENCE, FakeIssuer, fake_issuer, new_key, signed
from support.forged import forged
from support.gateway import DEAD_DSN, RunningGateway, prepare, problem, running_gateway
from support.people import Person, somebody
from support.platform import fresh_database
from support.waiting import eventually


class Setting(NamedTuple):
    """Two gateways on one database, and the issuer they both trust."""

    here: RunningGateway
    there: RunningGateway
    issuer: FakeIssuer
    folder: Path


@pytest.fixture(scope="module")
async def setting(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Setting]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("tokens")
    async with fake_issuer() as issuer:
        settings: dict[str, Any] = {
            "trusted_proxies": "127.0.0.0/8",
            "oidc_issuer": issuer.url,
            "oidc_audience": AUDIENCE,
            "key_pepper": "a pepper for the tests",
        }
        async with (
            running_gateway(kafka_bootstrap, dsn, folder, **settings) as here,
            running_gateway(kafka_bootstrap, dsn, folder, **settings) as there,
        ):
            yield Setting(here, there, issuer, folder)


@pytest.fixture
async def ann(setting: Setting) -> AsyncIterator[Person]:
    async with somebody(setting.here.url) as person:
        yield person


def bearer(token: str) -> dict[str, str]:
    """A header with the token."""
    return {"Authorization": f"Bearer {token}"}


async def get(gateway: RunningGateway, token: str, path: str = "/v1/account", *, status: int = 200) -> Any:
    """The answer to a token, which must have this status."""
    async with aiohttp.request("GET", gateway.url + path, headers=bearer(token)) as answer:
        assert answer.status == status, (answer.status, await answer.text())
        return await answer.json()


async def rows(gateway: RunningGateway, statement: str, *values: object) -> list[Any]:
    """What the database holds."""
    connection = await asyncpg.connect(gateway.dsn)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


async def refused(gateway: RunningGateway, token: str) -> bool:
    """Whether a token is refused."""
    async with aiohttp.request("GET", f"{gateway.url}/v1/account", headers=bearer(token)) as answer:
        return answer.status == 401


async def test_a_token_of_one_gateway_opens_the_other(setting: Setting, ann: Person) -> None:
    for gateway in (setting.here, setting.there):
        assert (await get(gateway, ann.tokens["access_token"]))["id"] == ann.id
    assert len(await rows(setting.here, "SELECT kid FROM signing_keys")) == 1


async def test_an_ended_session_ends_its_token_within_two_seconds(setting: Setting, ann: Person) -> None:
    token = ann.tokens["access_token"]
    for gateway in (setting.here, setting.there):
        await get(gateway, token)
    await ann.post("/v1/auth/logout")
    assert await refused(setting.here, token)
    await eventually(lambda: refused(setting.there, token), 4)


async def test_somebody_of_another_issuer_gets_an_account_of_their_own_once(setting: Setting, ann: Person) -> None:
    token = setting.issuer.token(sub="auth0|first-sight", email=ann.email, email_verified=True)
    shown = await asyncio.gather(*(get(g, token) for g in (setting.here, setting.there) for _ in range(10)))
    ids = {account["id"] for account in shown}
    assert len(ids) == 1
    assert ids != {ann.id}, "the same e-mail address is not the same person"
    assert shown[0]["role"] == "user"
    found = await rows(setting.here, "SELECT account_id FROM oidc_identities WHERE subject = 'auth0|first-sight'")
    assert [str(row["account_id"]) for row in found] == list(ids)
    noted = await rows(
        setting.here, "SELECT actor FROM audit_log WHERE action = 'account.created' AND actor = ANY($1)", ids
    )
    assert len(noted) == 1
    other = await get(setting.here, setting.issuer.token(sub="auth0|second"))
    assert other["id"] not in ids


async def test_a_switched_off_account_is_refused_with_its_token(setting: Setting) -> None:
    token = setting.issuer.token(sub="auth0|off")
    account = await get(setting.here, token)
    await setting.here.sql("UPDATE accounts SET is_active = false WHERE id = $1", UUID(account["id"]))
    await eventually(lambda: refused(setting.here, token), 4)


async def test_a_stream_token_ends_with_its_account(setting: Setting, ann: Person) -> None:
    made = await ann.post("/v1/stream-tokens", {"seconds": 600}, status=201)
    await get(setting.here, made["token"], status=403)
    await setting.here.sql("UPDATE accounts SET is_active = false WHERE id = $1", UUID(ann.id))
    await eventually(lambda: refused(setting.here, made["token"]), 4)


async def test_without_a_password_only_the_person_changes_the_address(setting: Setting) -> None:
    token = setting.issuer.token(sub="auth0|no-password")
    me = f"{setting.here.url}/v1/account"
    body = {"name": "k", "scopes": ["account"]}
    async with aiohttp.request("POST", f"{setting.here.url}/v1/keys", json=body, headers=bearer(token)) as answer:
        key = (await answer.json())["key"]
    change = {"email": "taken.over@example.org"}
    async with aiohttp.request("PATCH", me, json=change, headers=bearer(key)) as answer:
        await problem(answer, 403, "forbidden")
    assert (await get(setting.here, token))["email"] is None
    async with aiohttp.request("PATCH", me, json=change, headers=bearer(token)) as answer:
        assert (answer.status, (await answer.json())["email"]) == (200, change["email"])


async def test_every_forged_token_is_401_and_told_and_sends_us_nowhere(setting: Setting) -> None:
    await get(setting.here, setting.issuer.token())
    asked = setting.issuer.requests.total()
    before = len(await rows(setting.here, "SELECT id FROM audit_log WHERE action = 'token.refused'"))
    forgeries = forged(setting.issuer)
    del forgeries["far too long"]  # A header of 20 KB does not get as far as the door.
    with capture_logs() as logs:
        for name, token in forgeries.items():
            async with aiohttp.request("GET", f"{setting.here.url}/v1/jobs", headers=bearer(token)) as answer:
                document = await problem(answer, 401, "unauthorized")
                assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"'), name
                assert token not in str(document)
    told = [line for line in logs if line["event"] == "credential_refused"]
    assert len(told) == len(forgeries)
    assert not [token for token in forgeries.values() if token in str(logs)]
    assert setting.issuer.requests.total() == asked

    async def noted() -> bool:
        found = await rows(setting.here, "SELECT details FROM audit_log WHERE action = 'token.refused'")
        return len(found) - before == len(forgeries)

    await eventually(noted, 10)


async def test_a_token_that_names_no_issuer_of_ours_is_refused(setting: Setting) -> None:
    mine = new_key()
    for claims in ({"iss": "scribewire"}, {"iss": "https://evil.test/"}):
        token = signed(setting.issuer.header(), setting.issuer.claims(**claims), mine)
        assert await refused(setting.here, token)


async def test_a_stream_token_opens_streams_and_nothing_else(setting: Setting, ann: Person) -> None:
    async with ann.http.post("/v1/jobs", data=b"RIFF sound", headers=ann.headers) as answer:
        job = (await answer.json())["id"]
    made = await ann.post("/v1/stream-tokens", {"seconds": 30}, status=201)
    assert made["expires_in"] == 30
    events = f"{setting.there.url}/v1/jobs/{job}/events"
    async with aiohttp.request("GET", events, params={"access_token": made["token"]}) as answer:
        assert answer.status == 200
        assert (await answer.content.readline()).startswith((b"id:", b"event:"))
    async with aiohttp.request("GET", events, headers=bearer(made["token"])) as answer:
        assert answer.status == 200
    foreign = (await setting.here.submit())["id"]
    async with aiohttp.request(
        "GET", f"{setting.here.url}/v1/jobs/{foreign}/events", params={"access_token": made["token"]}
    ) as answer:
        await problem(answer, 404, "not-found")
    for path in (f"/v1/jobs/{job}", "/v1/jobs", "/v1/account", "/v1/keys", "/api/me"):
        await get(setting.here, made["token"], path, status=403)
    async with aiohttp.request(
        "POST", f"{setting.here.url}/v1/stream-tokens", json={}, headers=bearer(made["token"])
    ) as answer:
        await problem(answer, 403, "forbidden")


async def test_what_lives_longer_is_not_taken_from_an_address(setting: Setting, ann: Person) -> None:
    async with ann.http.post("/v1/jobs", data=b"RIFF sound", headers=ann.headers) as answer:
        job = (await answer.json())["id"]
    key = (await ann.post("/v1/keys", {"name": "k"}, status=201))["key"]
    events = f"{setting.here.url}/v1/jobs/{job}/events"
    for shown in (key, ann.tokens["access_token"]):
        async with aiohttp.request("GET", events, headers=bearer(shown)) as answer:
            assert answer.status == 200
        async with aiohttp.request("GET", events, params={"access_token": shown}) as answer:
            await problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("seconds", [0, 601, "x"])
async def test_a_stream_token_lives_ten_minutes_at_most(ann: Person, seconds: object) -> None:
    document = await ann.post("/v1/stream-tokens", {"seconds": seconds}, status=422)
    assert document["errors"][0]["field"] == "seconds"


async def test_an_issuer_never_reached_is_503_not_401(kafka_bootstrap: str, setting: Setting) -> None:
    async with fake_issuer() as issuer:
        issuer.down = True
        async with running_gateway(
            kafka_bootstrap, setting.here.dsn, setting.folder, oidc_issuer=issuer.url, oidc_audience=AUDIENCE
        ) as gateway:
            await get(gateway, issuer.token(), status=503)
            await get(gateway, issuer.token(aud="other"), status=401)


async def test_without_postgres_an_own_token_is_503_not_401(
    kafka_bootstrap: str, setting: Setting, ann: Person, tmp_path: Path
) -> None:
    async with running_gateway(kafka_bootstrap, DEAD_DSN, tmp_path, store_seconds=0.5) as gateway:
        await get(gateway, ann.tokens["access_token"], status=503)


@pytest.mark.parametrize(
    "settings",
    [
        {"oidc_issuer": "https://issuer.test/"},
        {"oidc_issuer": "http://issuer.test/", "oidc_audience": AUDIENCE},
        {"auth0_domain": "example.auth0.com"},
        {"key_pepper": "short"},
        {"legacy_api_key": "short"},
    ],
)
async def test_a_gateway_with_a_careless_setting_does_not_start(
    setting: Setting, tmp_path: Path, settings: dict[str, str]
) -> None:
    with pytest.raises(ValueError) as error:
        async with running_gateway(setting.here.kafka, setting.here.dsn, tmp_path, **settings):
            pass
    assert "short" not in str(error.value).replace("too short", "")

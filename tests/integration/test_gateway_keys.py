"""API keys over HTTP: what they open, how they are limited, rotated and revoked, on two gateways at once."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest

from gateway.identity import key_format
from gateway.principal import SCOPES
from gateway.routes import ROUTES
from support.faulty_proxy import faulty_proxy
from support.gateway import KEY, RunningGateway, prepare, problem, running_gateway
from support.people import Person, somebody
from support.platform import fresh_database
from support.waiting import eventually

LEGACY = "the-one-key-of-old"


class Two(NamedTuple):
    """Two gateways on one database."""

    here: RunningGateway
    there: RunningGateway


@pytest.fixture(scope="module")
async def two(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Two]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("keys")
    settings: dict[str, Any] = {"trusted_proxies": "127.0.0.0/8", "legacy_api_key": LEGACY}
    async with (
        running_gateway(kafka_bootstrap, dsn, folder, **settings) as here,
        running_gateway(kafka_bootstrap, dsn, folder, **settings) as there,
    ):
        yield Two(here, there)


@pytest.fixture
async def ann(two: Two) -> AsyncIterator[Person]:
    async with somebody(two.here.url) as person:
        yield person


def shown(key: str) -> dict[str, str]:
    """A header with the key."""
    return {"x-api-key": key}


async def status(gateway: RunningGateway, key: str, path: str = "/v1/jobs", method: str = "GET") -> int:
    """What a key is answered with."""
    async with aiohttp.request(method, gateway.url + path, headers=shown(key)) as answer:
        return answer.status


async def test_a_key_is_shown_once_and_opens_the_door_in_three_ways(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "ci", "expires_in_days": 30}, status=201)
    assert key_format.prefix_of(made["key"]) == made["prefix"]
    assert made["scopes"] == ["jobs:read", "jobs:write", "webhooks"]
    assert timedelta(days=29) < datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC) < timedelta(days=30)
    for headers in (
        {"Authorization": f"Bearer {made['key']}"},
        {"Authorization": f"Token {made['key']}"},
        {"x-api-key": made["key"]},
    ):
        for gateway in two:
            async with aiohttp.request("GET", f"{gateway.url}/v1/jobs", headers=headers) as answer:
                assert answer.status == 200
    listed = await ann.get("/v1/keys")
    assert made["key"] not in str(listed)
    counted = {"uses": listed["keys"][0]["uses"], "last_used_at": listed["keys"][0]["last_used_at"]}
    assert listed["keys"] == [{name: value for name, value in made.items() if name != "key"} | counted]
    assert (await ann.get("/auth/api-keys"))["keys"] == (await ann.get("/v1/keys"))["keys"]


async def test_each_scope_opens_its_addresses_and_no_others(two: Two) -> None:
    operator = two.here.http

    async def key(*scopes: str) -> str:
        async with operator.post("/v1/keys", json={"name": "scoped", "scopes": scopes}) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["key"])

    scopes = sorted(SCOPES - {"stream"})
    one = {scope: await key(scope) for scope in scopes}
    one["stream"] = one["jobs:read"]
    rest = {scope: await key(*(s for s in scopes if s != scope)) for scope in scopes}
    rest["stream"] = rest["jobs:read"]
    guarded = [route for route in ROUTES if route.scope is not None]
    assert {route.scope for route in guarded} >= {"jobs:read", "jobs:write", "webhooks", "keys", "stream"}
    for route in guarded:
        assert route.scope is not None
        path = re.sub(r"\{[^}]+\}", str(uuid4()), route.path)
        assert await status(two.here, one[route.scope], path, route.method) not in {401, 403}, route.operation
        async with aiohttp.request(route.method, two.here.url + path, headers=shown(rest[route.scope])) as answer:
            if route.method == "HEAD":
                assert answer.status == 403
                continue
            document = await problem(answer, 403, "forbidden")
            assert document["scope"] == route.scope


async def test_nobody_gives_a_key_more_than_they_may_do(two: Two, ann: Person) -> None:
    refused = await ann.post("/v1/keys", {"name": "x", "scopes": ["jobs:read", "admin"]}, status=403)
    assert refused["errors"][0]["field"] == "scopes"
    narrow = await ann.post("/v1/keys", {"name": "narrow", "scopes": ["keys", "jobs:read"]}, status=201)
    wide = await ann.post("/v1/keys", {"name": "wide"}, status=201)
    async with aiohttp.ClientSession(two.here.url, headers=shown(narrow["key"])) as http:
        async with http.post("/v1/keys", json={"name": "x", "scopes": ["jobs:write"]}) as answer:
            await problem(answer, 403, "forbidden")
        async with http.post("/v1/keys", json={"name": "x"}) as answer:
            assert (await answer.json())["scopes"] == ["jobs:read"]
        async with http.post(f"/v1/keys/{wide['id']}/rotate") as answer:
            await problem(answer, 403, "forbidden")


async def test_a_key_made_with_a_key_does_not_outlive_it(two: Two, ann: Person) -> None:
    short = await ann.post("/v1/keys", {"name": "short", "scopes": ["keys"], "expires_in_days": 1}, status=201)
    async with (
        aiohttp.ClientSession(two.here.url, headers=shown(short["key"])) as http,
        http.post("/v1/keys", json={"name": "x", "scopes": ["keys"]}) as answer,
    ):
        assert (await answer.json())["expires_at"] == short["expires_at"]


async def test_a_key_rotated_with_a_key_does_not_outlive_it(two: Two, ann: Person) -> None:
    lasting = await ann.post("/v1/keys", {"name": "lasting", "scopes": ["keys"]}, status=201)
    short = await ann.post("/v1/keys", {"name": "short", "scopes": ["keys"], "expires_in_days": 1}, status=201)
    await two.here.sql(
        "UPDATE api_keys SET created_at = created_at - interval '9 days' WHERE id = $1", UUID(short["id"])
    )
    async with aiohttp.ClientSession(two.here.url, headers=shown(short["key"])) as http:
        for key in (lasting, short):  # itself last: it is made to end by that
            async with http.post(f"/v1/keys/{key['id']}/rotate?grace_seconds=60") as answer:
                assert (answer.status, (await answer.json())["expires_at"]) == (201, short["expires_at"])


async def test_an_api_key_does_not_change_the_address(two: Two, ann: Person) -> None:
    key = await ann.post("/v1/keys", {"name": "profile", "scopes": ["account"]}, status=201)
    change = {"email": f"key.{ann.username}@example.org", "current_password": ann.password}
    async with aiohttp.ClientSession(two.here.url, headers=shown(key["key"])) as http:
        async with http.patch("/v1/account", json=change) as answer:
            assert (await problem(answer, 403, "forbidden"))["errors"][0]["field"] == "email"
        async with http.patch("/v1/account", json={"first_name": "Bea"}) as answer:
            assert (await answer.json())["email"] == (await ann.get("/v1/account"))["email"] != change["email"]


async def test_a_role_that_is_taken_takes_its_scope_from_keys(two: Two, ann: Person) -> None:
    await two.here.sql("UPDATE accounts SET role = 'admin' WHERE id = $1", UUID(ann.id))
    await eventually(lambda: _made(ann, "admin"), 10)
    made = await ann.post("/v1/keys", {"name": "boss", "scopes": ["admin"]}, status=201)
    path = next(route.path for route in ROUTES if route.scope == "admin" and "{" not in route.path)
    assert await status(two.there, made["key"], path) == 200
    await two.here.sql("UPDATE accounts SET role = 'user' WHERE id = $1", UUID(ann.id))

    async def taken() -> bool:
        return await status(two.there, made["key"], path) == 403

    await eventually(taken, 5)


async def _made(person: Person, scope: str) -> bool:
    async with person.http.post(
        "/v1/keys", json={"name": "probe", "scopes": [scope]}, headers=person.headers
    ) as answer:
        return answer.status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["stream"]}, "scopes"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "expires_at": 1900000000}, "expires_at"),
        ({"name": "x", "expires_in_days": 0}, "expires_in_days"),
        ({"name": "x", "expires_in_days": "7"}, "expires_in_days"),
        ({"name": "x", "expires_in_days": True}, "expires_in_days"),
        ({"name": "x", "expires_in_days": 1, "expires_at": "2027-01-01T00:00:00Z"}, "expires_in_days"),
        ({"name": "x", "owner": "operator"}, "owner"),
    ],
)
async def test_a_key_that_cannot_be_names_the_field(ann: Person, body: dict[str, object], field: str) -> None:
    document = await ann.post("/v1/keys", body, status=422)
    assert document["errors"][0]["field"].split(".")[0] == field


async def test_there_is_an_end_to_how_many_keys_one_has(two: Two, ann: Person) -> None:
    await two.here.sql(
        "INSERT INTO api_keys (id, owner, name, prefix, digest, scopes, created_at) "
        "SELECT gen_random_uuid(), $1, 'many', 'sw_' || n || left($1, 8), sha256((n || $1)::bytea), '{keys}', now() "
        "FROM generate_series(1, 100) n",
        ann.id,
    )
    document = await ann.post("/v1/keys", {"name": "x"}, status=409)
    assert document["type"] == "urn:scribewire:problem:too-many-keys"
    one, other = (key["id"] for key in (await ann.get("/v1/keys"))["keys"][:2])
    await ann.post(f"/v1/keys/{one}/rotate", status=201)
    document = await ann.post(f"/v1/keys/{other}/rotate", status=409)  # The first one is valid for its grace.
    assert document["type"] == "urn:scribewire:problem:too-many-keys"
    assert [key["rotated_to"] for key in (await ann.get("/v1/keys"))["keys"] if key["id"] == other] == [None]


async def test_an_expired_key_is_refused(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "brief"}, status=201)
    assert await status(two.there, made["key"]) == 200
    await two.here.sql("UPDATE api_keys SET expires_at = now() WHERE id = $1", UUID(made["id"]))
    assert await status(two.here, made["key"]) == 401

    async def refused() -> bool:
        return await status(two.there, made["key"]) == 401

    await eventually(refused, 4)


async def test_a_rotated_key_stays_valid_for_its_grace(two: Two, ann: Person) -> None:
    old = await ann.post("/v1/keys", {"name": "robot", "expires_in_days": 10}, status=201)
    new = await ann.post(f"/v1/keys/{old['id']}/rotate", status=201)
    assert (new["name"], new["scopes"], new["rotated_from"]) == (old["name"], old["scopes"], old["id"])
    assert new["key"] != old["key"]
    lives = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert timedelta(days=9.99) < lives < timedelta(days=10.01)
    left = datetime.fromisoformat(new["old_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23.9) < left < timedelta(hours=24)
    for gateway in two:
        assert [await status(gateway, key["key"]) for key in (old, new)] == [200, 200]
    again = await ann.post(f"/v1/keys/{old['id']}/rotate", status=409)
    assert again["type"] == "urn:scribewire:problem:key-rotated"
    listed = {key["id"]: key["rotated_to"] for key in (await ann.get("/v1/keys"))["keys"]}
    assert listed == {old["id"]: new["id"], new["id"]: None}


async def test_a_key_rotated_without_grace_is_refused_at_once(two: Two, ann: Person) -> None:
    old = await ann.post("/v1/keys", {"name": "leaked"}, status=201)
    assert await status(two.here, old["key"]) == 200
    new = await ann.post(f"/auth/api-keys/{old['id']}/rotate?grace_seconds=0", status=201)
    assert await status(two.here, old["key"]) == 401
    assert await status(two.here, new["key"]) == 200


async def test_a_grace_never_prolongs_a_key(ann: Person) -> None:
    old = await ann.post("/v1/keys", {"name": "ends"}, status=201)
    ends = datetime.now(UTC) + timedelta(hours=1)
    soon = await ann.post("/v1/keys", {"name": "soon", "expires_at": ends.isoformat()}, status=201)
    assert old["expires_at"] is None
    new = await ann.post(f"/v1/keys/{soon['id']}/rotate", status=201)
    assert datetime.fromisoformat(new["old_expires_at"]) == ends


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_within_two_seconds(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "gone"}, status=201)
    assert [await status(gateway, made["key"]) for gateway in two] == [200, 200]
    began = time.monotonic()
    await ann.post(f"/v1/keys/{made['id']}", method="DELETE", status=204)
    assert await status(two.here, made["key"]) == 401

    async def refused() -> bool:
        return await status(two.there, made["key"]) == 401

    await eventually(refused, 5)
    assert time.monotonic() - began < 3
    assert (await ann.get("/v1/keys"))["keys"] == []
    await ann.post(f"/v1/keys/{made['id']}", method="DELETE", status=404)
    await ann.post(f"/v1/keys/{made['id']}/rotate", status=404)


async def test_anothers_key_is_not_found(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "mine"}, status=201)
    async with somebody(two.here.url) as other:
        assert (await other.get("/v1/keys"))["keys"] == []
        await other.post(f"/v1/keys/{made['id']}", method="DELETE", status=404)
        await other.post(f"/v1/keys/{made['id']}/rotate", status=404)
    assert await status(two.here, made["key"]) == 200


async def test_a_switched_off_account_has_no_keys(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "off"}, status=201)
    assert await status(two.here, made["key"]) == 200
    await two.here.sql("UPDATE accounts SET is_active = false WHERE id = $1", UUID(ann.id))

    async def refused() -> bool:
        return await status(two.here, made["key"]) == 401

    await eventually(refused, 5)


async def test_changes_of_keys_are_in_the_audit_log(two: Two, ann: Person) -> None:
    made = await ann.post("/v1/keys", {"name": "noted"}, status=201)
    new = await ann.post(f"/v1/keys/{made['id']}/rotate", status=201)
    await ann.post(f"/v1/keys/{new['id']}", method="DELETE", status=204)
    connection = await asyncpg.connect(two.here.dsn)
    try:
        rows = await connection.fetch(
            "SELECT action, details FROM audit_log WHERE actor = $1 AND action LIKE 'key.%' ORDER BY at", ann.id
        )
    finally:
        await connection.close()
    assert [row["action"] for row in rows] == ["key.created", "key.rotated", "key.revoked"]
    assert made["id"] in rows[0]["details"]
    assert made["key"] not in str(rows)


async def test_the_one_key_of_old_opens_jobs_and_nothing_of_others(two: Two) -> None:
    for headers in ({"x-api-key": LEGACY}, {"Authorization": f"Bearer {LEGACY}"}):
        async with aiohttp.ClientSession(two.here.url, headers=headers) as http:
            async with http.get("/v1/jobs") as answer:
                assert answer.status == 200
            for path in ("/v1/keys", "/v1/account"):
                async with http.get(path) as answer:
                    await problem(answer, 403, "forbidden")
    job = await two.here.submit()
    assert await status(two.here, LEGACY, f"/v1/jobs/{job['id']}") == 404


async def test_uses_are_counted_exactly_over_two_gateways(
    kafka_bootstrap: str, two: Two, ann: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = await ann.post("/v1/keys", {"name": "counted"}, status=201)
    folder = tmp_path_factory.mktemp("counted")
    async with AsyncExitStack() as opened:
        gateways = [
            await opened.enter_async_context(running_gateway(kafka_bootstrap, two.here.dsn, folder / str(number)))
            for number in range(2)
        ]
        asked = [status(gateways[number % 2], made["key"]) for number in range(120)]
        assert set(await asyncio.gather(*asked)) == {200}
    connection = await asyncpg.connect(two.here.dsn)
    try:
        row = await connection.fetchrow("SELECT uses, last_used_at FROM api_keys WHERE id = $1", UUID(made["id"]))
    finally:
        await connection.close()
    assert row["uses"] == 120
    assert datetime.now(UTC) - row["last_used_at"] < timedelta(minutes=1)


async def test_while_postgres_is_away_known_keys_go_on_and_others_are_not_called_wrong(
    kafka_bootstrap: str, two: Two, ann: Person, tmp_path: Path
) -> None:
    known = (await ann.post("/v1/keys", {"name": "known"}, status=201))["key"]
    never_shown = (await ann.post("/v1/keys", {"name": "never shown"}, status=201))["key"]
    async with (
        faulty_proxy(two.here.dsn, speaks="postgres") as (proxy, dsn),
        running_gateway(kafka_bootstrap, dsn, tmp_path, store_seconds=0.5) as gateway,
    ):
        assert await status(gateway, known) == 200
        await proxy.inject("refuse")
        async with aiohttp.ClientSession(gateway.url, headers=shown(known)) as http:
            for _ in range(3):
                async with http.post("/v1/jobs", data=b"RIFF sound") as answer:
                    assert answer.status == 202
        assert await status(gateway, KEY) == 503, "the operator is known; the list is not"
        async with aiohttp.request("GET", f"{gateway.url}/v1/jobs", headers=shown(never_shown)) as answer:
            await problem(answer, 503, "unavailable")
        async with aiohttp.request("GET", f"{gateway.url}/v1/jobs", headers=shown(known[:-1] + "!")) as answer:
            await problem(answer, 401, "unauthorized")
        await proxy.heal()

        async def back() -> bool:
            return await status(gateway, never_shown) == 200

        await eventually(back, 10)


async def test_a_flood_of_wrong_keys_stores_next_to_nothing_and_starves_nobody(two: Two, ann: Person) -> None:
    good = (await ann.post("/v1/keys", {"name": "good"}, status=201))["key"]
    connection = await asyncpg.connect(two.here.dsn)
    try:
        before = await connection.fetchval("SELECT count(*) FROM audit_log")
        async with aiohttp.ClientSession(two.here.url) as http:

            async def knock() -> int:
                async with http.get("/v1/jobs", headers=shown(key_format.make().text)) as answer:
                    return answer.status

            flood = asyncio.gather(*(knock() for _ in range(1500)))
            async with aiohttp.request("GET", f"{two.here.url}/v1/jobs", headers=shown(good)) as answer:
                assert answer.status == 200
            assert set(await flood) == {401}
        assert await connection.fetchval("SELECT count(*) FROM audit_log") - before <= 150
    finally:
        await connection.close()

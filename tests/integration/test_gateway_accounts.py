"""Accounts over HTTP: registering, logging in by either name, the profile, ending sessions, what admins do."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from support.gateway import RunningGateway, prepare, problem, running_gateway
from support.people import PASSWORD, call, registration, somebody, visitor
from support.platform import fresh_database

BEHIND_A_PROXY = {"trusted_proxies": "127.0.0.0/8"}


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("accounts")
    async with running_gateway(kafka_bootstrap, dsn, folder, **BEHIND_A_PROXY) as running:
        yield running


async def test_who_registers_is_logged_in_and_finds_what_they_said(gateway: RunningGateway) -> None:
    async with somebody(gateway.url, marketing_consent=True) as person:
        assert person.tokens["token_type"] == "Bearer"
        assert 0 < person.tokens["expires_in"] <= 900
        shown = await person.get("/v1/account")
        assert shown == person.tokens["user"] | {"updated_at": shown["updated_at"], "last_login": shown["last_login"]}
        assert shown["email"] == person.email.replace("Example", "example")
        assert (shown["username"], shown["role"], shown["plan"], shown["is_active"]) == (
            *(person.username, "user", "free"),
            True,
        )
        assert (shown["first_name"], shown["last_name"], shown["company"]) == ("Ann", "Lee", "Example Ltd")
        assert shown["consents"] == dict.fromkeys(("gdpr_consent", "data_retention_agreed", "marketing_consent"), True)
        assert await person.get("/auth/profile") == await person.get("/api/me") == shown
        info = await person.get("/api/userinfo")
        assert (info["sub"], info["name"], info["preferred_username"]) == (person.id, "Ann Lee", person.username)
        # What they make is theirs.
        assert (await person.get("/v1/jobs"))["jobs"] == []


@pytest.mark.parametrize("at", ["/v1/auth", "/auth"])
async def test_a_login_may_be_by_either_name_in_any_case(gateway: RunningGateway, at: str) -> None:
    async with somebody(gateway.url) as person:
        for body in (
            {"email": person.email.upper()},
            {"username": person.username.title()},
            {"login": f" {person.email} "},
            {"login": person.username},
        ):
            tokens = await call(person.http, "POST", f"{at}/login", body | {"password": person.password})
            assert tokens["user"]["id"] == person.id
            assert tokens["user"]["last_login"] is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "ann"}, "email"),
        ({"username": "a@b.example"}, "username"),
        ({"username": "ab"}, "username"),
        ({"password": "short1A"}, "password"),
        ({"password": "no-upper-case-1"}, "password"),
        ({"password": "A1" + "x" * 255}, "password"),
        ({"gdpr_consent": False}, "gdpr_consent"),
        ({"data_retention_agreed": None}, "data_retention_agreed"),
        ({"first_name": "x" * 101}, "first_name"),
        ({"role": "admin"}, "role"),
        ({"marketing_consent": "true"}, "marketing_consent"),
    ],
)
async def test_a_registration_that_is_not_valid_names_the_field(
    gateway: RunningGateway, change: dict[str, object], field: str
) -> None:
    async with visitor(gateway.url) as http, http.post("/v1/auth/register", json=registration(**change)) as answer:
        document = await problem(answer, 422, "invalid-request")
        assert [error["field"] for error in document["errors"]] == [field]
        assert document["errors"][0]["message"] != "is not valid"


async def test_names_are_unique_whatever_their_case_and_composition(gateway: RunningGateway) -> None:
    async with somebody(gateway.url, username="Jos\u00e9.Ana") as person:
        for change, field in (
            ({"username": "jose\u0301.ana"}, "username"),
            ({"email": person.email.lower()}, "email"),
        ):
            async with person.http.post("/v1/auth/register", json=registration(**change)) as answer:
                document = await problem(answer, 409, "taken")
                assert document["errors"] == [{"field": field, "message": "is taken"}]


async def test_a_wrong_password_and_an_unknown_name_have_the_same_answer(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person:
        documents = []
        for login in (person.email, person.username, "nobody@example.org", "nobody", "nul\x00byte"):
            async with person.http.post("/auth/login", json={"login": login, "password": "Wrong-horse-7"}) as answer:
                documents.append(await problem(answer, 401, "bad-credentials"))
        assert all(document == documents[0] for document in documents)


async def test_logging_out_ends_this_session_and_everywhere_ends_all(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person:
        first = dict(person.headers)
        await person.login()
        await person.post("/auth/logout")
        await person.get("/v1/account", status=401)
        await call(person.http, "POST", "/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, status=401)
        await call(person.http, "GET", "/v1/account", headers=first)
        await person.login()
        assert "2 sessions" in (await person.post("/v1/auth/logout-all"))["detail"]
        for headers in (first, person.headers):
            await call(person.http, "GET", "/v1/account", headers=headers, status=401)
    async with gateway.http.post("/auth/logout") as answer:
        await problem(answer, 409, "no-session")


async def test_the_profile_can_be_changed_and_consent_is_a_record(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person:
        changed = await person.post(
            "/auth/profile", {"first_name": "Bea", "company": None, "marketing_consent": True}, method="PUT"
        )
        assert (changed["first_name"], changed["last_name"], changed["company"]) == ("Bea", "Lee", None)
        changed = await person.post("/v1/account", {"marketing_consent": False}, method="PATCH")
        assert changed["consents"]["marketing_consent"] is False
        record = await rows(gateway, "SELECT given FROM consents WHERE kind = 'marketing_consent' ORDER BY at, id")
        assert [row["given"] for row in record][-2:] == [True, False]

        email = f"moved.{person.username}@example.org"
        async with person.http.patch("/v1/account", json={"email": email}, headers=person.headers) as answer:
            document = await problem(answer, 422, "invalid-request")
            assert document["errors"][0]["field"] == "current_password"
        body = {"email": email, "current_password": person.password}
        assert (await person.post("/v1/account", body, method="PATCH"))["email"] == email
        await person.login(email=email, password=person.password)


async def test_what_a_person_said_of_themselves_is_not_readable_in_the_database(gateway: RunningGateway) -> None:
    async with somebody(gateway.url, first_name="Zebulon", company="Quixotic") as person:
        row = (await rows(gateway, "SELECT accounts::text AS all FROM accounts WHERE username = $1", person.username))[
            0
        ]
        assert "Zebulon" not in row["all"]
        assert "Quixotic" not in row["all"]
        assert "$argon2id$v=19$m=19456,t=2,p=1$" in row["all"]
        session = (await rows(gateway, "SELECT sessions::text AS all FROM sessions WHERE ip LIKE '198.18.%'"))[0]
        assert person.tokens["refresh_token"] not in session["all"]


async def test_another_password_ends_the_other_sessions(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person:
        other = dict(person.headers)
        await person.login()
        new = "Another-horse-8"
        async with person.http.post(
            "/auth/change-password",
            json={"current_password": "Wrong-horse-1", "new_password": new},
            headers=person.headers,
        ) as answer:
            assert (await problem(answer, 422, "invalid-request"))["errors"][0]["field"] == "current_password"
        await person.post("/auth/change-password", {"current_password": person.password, "new_password": new})
        await person.get("/v1/account")
        await call(person.http, "GET", "/v1/account", headers=other, status=401)
        await call(person.http, "POST", "/auth/login", {"email": person.email, "password": PASSWORD}, status=401)
        await person.login(email=person.email, password=new)


async def test_the_login_without_a_password_is_gone(gateway: RunningGateway) -> None:
    async with visitor(gateway.url) as http, http.post("/mobile-auth/login") as answer:
        assert "/v1/auth/login" in (await problem(answer, 410, "gone"))["instead"]


async def test_a_session_survives_a_restart(
    gateway: RunningGateway, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = gateway.blobs.parent
    async with (
        somebody(gateway.url) as person,
        running_gateway(kafka_bootstrap, gateway.dsn, folder, **BEHIND_A_PROXY) as next_one,
        visitor(next_one.url) as http,
    ):
        await call(http, "GET", "/v1/account", headers=person.headers)
        tokens = await call(http, "POST", "/auth/refresh", {"refresh_token": person.tokens["refresh_token"]})
        assert tokens["user"]["id"] == person.id


async def test_a_used_refresh_token_ends_the_session_for_both(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person:
        stolen = person.tokens["refresh_token"]
        for _ in range(2):
            person.tokens = await call(
                person.http, "POST", "/v1/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}
            )
        await person.get("/v1/account")
        await call(person.http, "POST", "/v1/auth/refresh", {"refresh_token": stolen}, status=401)
        await person.get("/v1/account", status=401)
        await call(
            person.http, "POST", "/v1/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, status=401
        )
        async with gateway.http.get("/v1/admin/audit", params={"actor": person.id, "action": "session"}) as answer:
            lines = (await answer.json())["lines"]
        assert [(line["action"], line["details"]["session"]) for line in lines] == [("session.reused", person.session)]
        assert lines[0]["user_agent"] == "people/1"
        assert lines[0]["ip"].startswith("198.18.")


async def test_an_admin_switches_accounts_off_and_gives_roles(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as person, somebody(gateway.url) as admin:
        place = f"/v1/admin/accounts/{person.id}"
        await admin.get(place, status=403)
        async with gateway.http.patch(f"/v1/admin/accounts/{admin.id}", json={"role": "admin"}) as answer:
            assert (await answer.json())["role"] == "admin"
        await admin.login()
        assert (await admin.get(place))["email"] == (await person.get("/v1/account"))["email"]
        changed = await admin.post(place, {"is_active": False, "plan": "pro"}, method="PATCH")
        assert (changed["is_active"], changed["plan"]) == (False, "pro")
        await person.get("/v1/account", status=401)
        login = {"email": person.email, "password": person.password}
        async with person.http.post("/auth/login", json=login) as answer:
            await problem(answer, 403, "account-inactive")
        await call(person.http, "POST", "/auth/login", login | {"password": "Wrong-horse-7"}, status=401)
        refresh = {"refresh_token": person.tokens["refresh_token"]}
        await call(person.http, "POST", "/auth/refresh", refresh, status=401)
        await admin.post(place, {"is_active": True}, method="PATCH")
        await person.login()
        await admin.get(f"/v1/admin/accounts/{uuid4()}", status=404)
        audit = await admin.get(f"/v1/admin/audit?actor={admin.id}&action=admin.account_changed")
        assert [line["details"]["after"] for line in audit["lines"]] == [
            {"is_active": True},
            {"is_active": False, "plan": "pro"},
        ]


async def test_lists_come_in_pages(gateway: RunningGateway) -> None:
    people = []
    for _ in range(3):
        async with somebody(gateway.url) as person:
            people.append(person.id)
    seen, cursor = [], ""
    while len(seen) < 3:
        async with gateway.http.get(f"/v1/admin/accounts?limit=1{cursor}") as answer:
            page = await answer.json()
        seen += [account["id"] for account in page["accounts"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == people[::-1]
    async with gateway.http.get("/v1/admin/audit?limit=2&action=account.registered") as answer:
        first = await answer.json()
    async with gateway.http.get(
        "/v1/admin/audit", params={"limit": 1, "action": "account", "cursor": first["next_cursor"]}
    ) as answer:
        second = await answer.json()
    assert [line["actor"] for line in first["lines"] + second["lines"]] == people[::-1]
    for bad in ("cursor=x", "actor=%00", "since=0001-01-01T00:00:00Z", "since=2026", "limit=0"):
        async with gateway.http.get(f"/v1/admin/audit?{bad}") as answer:
            assert answer.status == (200 if bad == "actor=%00" else 422)


async def test_the_operator_has_no_account(gateway: RunningGateway) -> None:
    async with gateway.http.get("/v1/account") as answer:
        await problem(answer, 409, "no-session")


async def rows(gateway: RunningGateway, statement: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(gateway.dsn)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()

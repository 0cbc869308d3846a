"""What a browser does across origins, and what stands on every answer, over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import application
from gateway.callers import Callers
from gateway.headers import StrictTransport
from gateway.routes import ROUTES
from gateway.walls.cors import EXPOSED, Cors
from gateway.walls.floods import Floods
from gateway.walls.outside import Outside
from support.doors import BelievingDoor
from support.gateway import KEY

PAGE = "https://app.example.com"
Client = TestClient[web.Request, web.Application]


@asynccontextmanager
async def serving(outside: Outside) -> AsyncIterator[Client]:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = application({route.operation: answer for route in ROUTES}, BelievingDoor(), outside)
    async with TestClient(TestServer(app)) as client:
        yield client


def pages(*origins: str, credentials: bool = False) -> Outside:
    return Outside(cors=Cors(origins, credentials=credentials), transport=StrictTransport(0, Callers()))


def preflight(origin: str, method: str, *headers: str) -> dict[str, str]:
    """What a browser sends before a page's request that is not simple: never a key."""
    asked = {"Access-Control-Request-Headers": ",".join(headers)} if headers else {}
    return {"Origin": origin, "Access-Control-Request-Method": method, **asked}


def allowed(answer: web.Response, name: str) -> set[str]:
    return {value.strip().lower() for value in answer.headers[name].split(",")}


class TestPages:
    async def test_a_preflight_of_every_address_is_answered_without_a_key(self) -> None:
        async with serving(pages(PAGE, "http://localhost:3000")) as client:
            for route in ROUTES:
                path = route.path.replace("{id}", "0")
                asked = preflight(PAGE, route.method, "authorization", "idempotency-key", "x-api-key", "content-type")
                async with client.options(path, headers=asked) as answer:
                    assert answer.status == 204, path
                    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                    assert route.method.lower() in allowed(answer, "Access-Control-Allow-Methods")
                    taken = allowed(answer, "Access-Control-Allow-Headers")
                    assert {"authorization", "idempotency-key", "x-api-key", "content-type"} <= taken
                    assert "Access-Control-Allow-Credentials" not in answer.headers

    async def test_a_tus_client_in_a_page_may_send_and_read_what_it_needs(self) -> None:
        sent = (
            "tus-resumable",
            "upload-offset",
            "upload-length",
            "upload-metadata",
            "upload-concat",
            "upload-checksum",
        )
        async with serving(pages(PAGE)) as client:
            async with client.options("/v1/uploads", headers=preflight(PAGE, "PATCH", *sent)) as answer:
                assert answer.status == 204
                assert set(sent) <= allowed(answer, "Access-Control-Allow-Headers")
                assert "patch" in allowed(answer, "Access-Control-Allow-Methods")
            async with client.get("/v1/jobs", headers={"Origin": PAGE, "x-api-key": "none"}) as answer:
                read = allowed(answer, "Access-Control-Expose-Headers")
        assert {"location", "upload-offset", "tus-resumable", "scribewire-job", "ratelimit", "retry-after"} <= read
        assert len(EXPOSED) == len(read)

    async def test_a_problem_can_be_read_by_the_page_too(self) -> None:
        async with serving(pages(PAGE)) as client:
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {KEY}"}, 404)):
                async with client.get("/v1/nothing", headers={"Origin": PAGE} | headers) as answer:
                    assert answer.status == status
                    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
                    assert answer.headers["Vary"] == "Origin"

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://APP.example.com",
            "null",
        ],
    )
    async def test_another_origin_gets_nothing(self, origin: str) -> None:
        async with serving(pages(PAGE)) as client:
            async with client.options("/v1/jobs", headers=preflight(origin, "POST")) as answer:
                assert answer.status == 401
                assert "Access-Control-Allow-Origin" not in answer.headers
            async with client.get("/healthz", headers={"Origin": origin}) as answer:
                assert (answer.status, answer.headers["Vary"]) == (200, "Origin")
                assert "Access-Control-Allow-Origin" not in answer.headers

    async def test_closed_unless_configured(self) -> None:
        async with serving(pages()) as client:
            async with client.options("/v1/jobs", headers=preflight(PAGE, "POST")) as answer:
                assert answer.status == 401
            async with client.get("/healthz", headers={"Origin": PAGE}) as answer:
                assert not {name for name in answer.headers if name.startswith("Access-Control")}

    async def test_everybody_is_let_in_without_credentials_only(self) -> None:
        async with serving(pages("*")) as client, client.get("/healthz", headers={"Origin": "https://x.y"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in answer.headers
        async with (
            serving(pages(PAGE, credentials=True)) as client,
            client.get("/healthz", headers={"Origin": PAGE}) as answer,
        ):
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"

    @pytest.mark.parametrize(
        ("origins", "credentials"),
        [
            (["*"], True),
            (["*", PAGE], False),
            ([PAGE + "/"], False),
            (["app.example.com"], False),
            (["https://*.example.com/x"], False),
            (["https://user@app.example.com"], False),
            (["ftp://app.example.com"], False),
        ],
    )
    def test_what_would_open_more_than_it_says_is_refused(self, origins: list[str], credentials: bool) -> None:
        with pytest.raises(ValueError, match="CORS_ORIGINS"):
            Cors(origins, credentials=credentials)


class TestHeaders:
    async def test_every_answer_carries_what_owasp_asks_for(self) -> None:
        async with serving(pages(PAGE)) as client:
            for path in ("/healthz", "/v1/jobs", "/v1/nothing"):
                async with client.get(path) as answer:
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert answer.headers["X-Frame-Options"] == "DENY"
                    assert answer.headers["Referrer-Policy"] == "no-referrer"
                    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
                    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                    assert answer.headers["X-Permitted-Cross-Domain-Policies"] == "none"
                    assert "camera=()" in answer.headers["Permissions-Policy"]
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert "Strict-Transport-Security" not in answer.headers

    async def test_https_is_asked_for_where_it_was_used_and_a_trusted_proxy_says_so(self) -> None:
        said = {"X-Forwarded-Proto": "https"}
        for trusted, headers, expected in (
            (["127.0.0.0/8"], said, "max-age=600; includeSubDomains"),
            (["127.0.0.0/8"], {"X-Forwarded-Proto": "https, http"}, "max-age=600; includeSubDomains"),
            (["127.0.0.0/8"], {"X-Forwarded-Proto": "http, https"}, None),
            (["127.0.0.0/8"], {}, None),
            ([], said, None),
        ):
            outside = Outside(cors=Cors(), transport=StrictTransport(600, Callers(trusted)))
            async with serving(outside) as client, client.get("/healthz", headers=headers) as answer:
                assert answer.headers.get("Strict-Transport-Security") == expected


class TestFloods:
    async def test_a_proxy_that_is_not_named_makes_nobody_local(self) -> None:
        floods = Floods(Callers(), per_second=1.0, clock=lambda: 0.0)
        async with serving(Outside(Cors(), StrictTransport(0, Callers()), floods)) as client:
            answers = []
            for n in range(12):
                async with client.get("/healthz", headers={"X-Forwarded-For": f"203.0.113.{n}"}) as answer:
                    answers.append(answer.status)
        assert answers == [200] * 10 + [429] * 2

    async def test_an_address_a_key_and_nobody_else_is_bounded(self) -> None:
        now = 0.0
        callers = Callers(["127.0.0.0/8"])
        floods = Floods(callers, per_second=1.0, clock=lambda: now)
        one, other = "6f1d1f0e-3f53-4a52-9a4c-4b1f2ba5a001", "6f1d1f0e-3f53-4a52-9a4c-4b1f2ba5a002"

        async with serving(Outside(Cors(), StrictTransport(0, callers), floods)) as client:

            async def get(key: str, address: str | None = None) -> int:
                headers = {"Authorization": f"Bearer {key}"} | ({"X-Forwarded-For": address} if address else {})
                async with client.get("/v1/jobs", headers=headers) as answer:
                    if answer.status == 429:
                        assert answer.headers["Retry-After"] == "1"
                        assert (await answer.json())["type"] == "urn:scribewire:problem:rate-limited"
                    return answer.status

            assert [await get("wrong", "203.0.113.7") for _ in range(12)] == [401] * 10 + [429] * 2
            assert await get(one, "203.0.113.7") == 429
            # Of an IPv6 network everybody has more addresses than there are buckets.
            assert [await get("wrong", f"2001:db8::{n}") for n in range(11)] == [401] * 10 + [429]
            # From this machine only keys are counted, and the operator's is not.
            assert [await get(one) for _ in range(11)] == [200] * 10 + [429]
            assert await get(other) == 200
            assert {await get(KEY) for _ in range(30)} == {200}
            now = 1.0
            assert [await get("wrong", "203.0.113.7"), await get(one)] == [401, 200]

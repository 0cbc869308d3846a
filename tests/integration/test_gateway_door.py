"""No open door: every address needs the key, save those that say they do not; and what every answer carries."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from gateway.door import OperatorDoor
from gateway.routes import ROUTES
from gateway.routing import Route
from support.gateway import KEY, RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database
from support.waiting import eventually


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest.fixture
async def stranger(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody without a key."""
    async with aiohttp.ClientSession(gateway.url) as http:
        yield http


@pytest.mark.parametrize("route", [r for r in ROUTES if r.door == "key"], ids=lambda r: r.operation)
async def test_a_guarded_address_needs_the_key(stranger: aiohttp.ClientSession, route: Route) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": "schlüssel"},
    ):
        async with stranger.request(route.method, route.path.replace("{id}", str(uuid4())), headers=headers) as answer:
            if route.method != "HEAD":
                await problem(answer, 401, "unauthorized")
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", [r for r in ROUTES if r.door != "key"], ids=lambda r: r.operation)
async def test_an_open_address_needs_none(stranger: aiohttp.ClientSession, route: Route) -> None:
    async with stranger.request(route.method, route.path.replace("{id}", str(uuid4()))) as answer:
        # Without a body most of them refuse the request, though for another reason.
        assert answer.status != 401
        assert answer.status in {*route.answers, *route.problems}


async def test_metrics_are_for_this_machine_and_for_who_has_the_key(stranger: aiohttp.ClientSession) -> None:
    forwarded = {"x-forwarded-for": "203.0.113.7"}
    for headers in (forwarded, {"Forwarded": "for=203.0.113.7"}):
        async with stranger.get("/metrics", headers=headers) as answer:
            await problem(answer, 401, "unauthorized")
    async with stranger.get("/metrics", headers=forwarded | {"x-api-key": KEY}) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {KEY}"},
        {"Authorization": f"Token {KEY}"},
        {"x-api-key": KEY},
    ],
)
async def test_the_key_may_come_in_each_of_three_ways(stranger: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    async with stranger.get("/v1/jobs", headers=headers) as answer:
        assert answer.status == 200


async def test_an_unknown_address_is_a_problem_and_says_nothing_to_strangers(
    gateway: RunningGateway, stranger: aiohttp.ClientSession
) -> None:
    async with stranger.get("/v1/secrets") as answer:
        await problem(answer, 401, "unauthorized")
    async with gateway.http.get("/v1/secrets") as answer:
        await problem(answer, 404, "not-found")
    async with gateway.http.put("/v1/jobs") as answer:
        await problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET,POST"


async def test_every_answer_carries_the_security_headers(gateway: RunningGateway) -> None:
    for path in ("/v1/jobs", "/v1/secrets", "/healthz", "/openapi.json"):
        async with gateway.http.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Server"] == "scribewire"


async def test_the_openapi_document_is_served_as_committed(gateway: RunningGateway) -> None:
    committed = Path(__file__).parents[2] / "docs" / "api" / "openapi.json"
    async with gateway.http.get("/openapi.json") as answer:
        assert await answer.json() == json.loads(committed.read_text())


async def test_ready_says_what_answers(gateway: RunningGateway) -> None:
    async def ready() -> dict[str, object] | None:
        async with gateway.http.get("/readyz") as answer:
            return await answer.json() if answer.status == 200 else None

    assert await eventually(ready) == {"status": "ok", "reasons": []}


@pytest.mark.parametrize("content", [None, "", "short\n"])
def test_without_a_key_the_gateway_does_not_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "operator.key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match="operator key"):
        OperatorDoor(file)

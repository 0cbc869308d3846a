"""Every route with another's ids: the same 404 as for what there never was, and nothing of theirs in any list."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from gateway.routes import ROUTES
from gateway.routing import Route
from support.gateway import RunningGateway, form, prepare, running_gateway
from support.people import Person, somebody
from support.platform import fresh_database

WITH_AN_ID = [route for route in ROUTES if "{" in route.path and route.door == "key"]
LISTS = [route for route in ROUTES if route.method == "GET" and "{" not in route.path and route.door == "key"]


@dataclass(frozen=True)
class Neighbours:
    """One who has one of everything, by the path it is found below; and one who wants it."""

    has: Person
    wants: Person
    things: dict[str, str]

    def thing(self, route: Route) -> str:
        """The id that belongs into a route's path."""
        found = [thing for path, thing in self.things.items() if route.path.startswith(path)]
        assert found, f"what lies at {route.path}? Add one of it to the fixture, so that this is tried as well"
        return found[0]


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("owners"), delete_seconds=0.2) as running:
        yield running


@pytest.fixture(scope="module")
async def neighbours(gateway: RunningGateway) -> AsyncIterator[Neighbours]:
    async with somebody(gateway.url) as has, somebody(gateway.url) as wants:
        key = (await has.post("/v1/keys", {"name": "laptop"}, status=201))["id"]
        webhook = (await has.post("/v1/webhooks", {"url": "https://example.org/hook"}, status=201))["id"]
        async with has.http.post("/v1/jobs", data=form(b"RIFFsound"), headers=has.headers) as answer:
            job = (await answer.json())["id"]
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", **has.headers}
        async with has.http.post("/v1/uploads", headers=tus) as answer:
            upload = answer.headers["Location"].rpartition("/")[2]
        batch = {"Content-Type": "application/x-ndjson", **has.headers}
        async with has.http.post("/v1/batches", data=b'{"blob": "a.wav"}\n', headers=batch) as answer:
            assert answer.status == 202, await answer.text()
            batch_id = (await answer.json())["id"]
        yield Neighbours(
            has,
            wants,
            {
                "/v1/jobs/": job,
                "/v1/uploads/": upload,
                "/v1/batches/": batch_id,
                "/v1/webhooks/": webhook,
                "/v1/keys/": key,
                "/auth/api-keys/": key,
                "/v1/admin/accounts/": has.id,
            },
        )


def sent(route: Route, person: Person) -> dict[str, Any]:
    """What goes with a request: who sends it, an empty object where JSON is wanted, and what tus asks for."""
    if route.path.startswith("/v1/uploads"):
        tus = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        return {"headers": person.headers | tus}
    return {"headers": person.headers} | ({"json": {}} if route.body is not None else {})


@pytest.mark.parametrize("route", WITH_AN_ID, ids=lambda route: route.operation)
async def test_anothers_is_as_if_it_were_not_there(neighbours: Neighbours, route: Route) -> None:
    answers = []
    for thing in (neighbours.thing(route), str(uuid4())):
        path = route.path.replace("{id}", thing)
        async with neighbours.wants.http.request(route.method, path, **sent(route, neighbours.wants)) as answer:
            answers.append((answer.status, (await answer.text()).replace(thing, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == (403 if route.scope == "admin" else 404), answers[0]


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.operation)
async def test_no_list_shows_what_is_anothers(neighbours: Neighbours, route: Route) -> None:
    async with neighbours.wants.http.get(route.path, headers=neighbours.wants.headers) as answer:
        shown = (await answer.read()).decode(errors="replace")
        assert answer.status == (403 if route.scope == "admin" else 200), shown
    assert not [thing for thing in neighbours.things.values() if thing in shown]
    assert neighbours.has.email not in shown


async def test_everything_is_still_there(gateway: RunningGateway, neighbours: Neighbours) -> None:
    """What another tried above had no effect; and the routes do find what is one's own."""
    for path in ("/v1/jobs", "/v1/webhooks", "/v1/keys"):
        assert neighbours.things[f"{path}/"] in json.dumps(await neighbours.has.get(path))
    async with gateway.http.get(f"/v1/jobs/{neighbours.things['/v1/jobs/']}") as answer:
        assert answer.status == 404, "not even the operator's key reads another's job"

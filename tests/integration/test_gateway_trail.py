"""What goes into the audit log of itself: who sent, cancelled and deleted what, from where, also after an outage."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.callers import Callers
from gateway.database import StoreUnavailable
from gateway.identity.audit import AuditLog, NewLine
from gateway.identity.table import AT_AUTH
from gateway.identity.trail import Trail
from gateway.principal import OPERATOR
from gateway.routes import ROUTES
from support.gateway import RunningGateway, form, prepare, running_gateway
from support.people import Person, call, somebody
from support.platform import fresh_database
from support.waiting import eventually


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("trail")
    async with running_gateway(
        kafka_bootstrap, dsn, folder, delete_seconds=0.2, trusted_proxies="127.0.0.0/8"
    ) as running:
        yield running


async def trail(gateway: RunningGateway, person: Person) -> list[tuple[str, Any]]:
    """What the admin's view of the log says of somebody, oldest first, without logins."""
    found = await call(gateway.http, "GET", f"/v1/admin/audit?actor={person.id}&limit=100")
    lines = found["lines"]
    assert {line["user_agent"] for line in lines} == {"people/1"}
    assert all(line["ip"].startswith("198.18.") for line in lines)
    return [
        (line["action"], line["details"].get("id"))
        for line in reversed(lines)
        if not line["action"].startswith(("account.", "login."))
    ]


async def test_what_is_done_with_jobs_is_told_with_who_and_where(gateway: RunningGateway) -> None:
    async with somebody(gateway.url) as ann:
        async with ann.http.post("/v1/jobs", data=form(b"RIFFsound"), headers=ann.headers) as answer:
            job = (await answer.json())["id"]
        tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", **ann.headers}
        async with ann.http.post("/v1/uploads", headers=tus | {"Upload-Length": "10"}, data=b"01234") as answer:
            assert answer.status == 201, await answer.text()
            upload = answer.headers["Location"]
        async with ann.http.patch(upload, headers=tus | {"Upload-Offset": "5"}, data=b"56789") as answer:
            assert answer.status == 204, await answer.text()
            uploaded = answer.headers["Scribewire-Job"]
        await ann.post(f"/v1/jobs/{job}/cancel", status=202)
        async with ann.http.delete(f"/v1/jobs/{job}", headers=ann.headers) as answer:
            assert answer.status in {202, 204}
        # What was refused, and what only reads, is not told of.
        await ann.post("/v1/jobs/00000000-0000-4000-8000-000000000000/cancel", status=404)
        await ann.get(f"/v1/jobs/{uploaded}")
        expected = [
            ("job.submitted", job),
            ("upload.created", upload.rpartition("/")[2]),
            ("job.submitted", uploaded),
            ("job.cancelled", job),
            ("job.deleted", job),
        ]

        async def told() -> bool:
            return await trail(gateway, ann) == expected

        await eventually(told, seconds=10)


def test_what_changes_something_of_an_owner_is_told_of() -> None:
    """By the route, or by the handler itself where it knows more than that it was asked."""
    silent = {
        route.operation
        for route in ROUTES
        if route.method not in {"GET", "HEAD", "OPTIONS"} and route.door == "key" and route.audit is None
    }
    by_themselves = {
        *("create_key", "rotate_key", "revoke_key", "auth_create_key", "auth_rotate_key", "auth_revoke_key"),
        *("change_account", "put_profile", "patch_profile", "change_password"),
        *("logout", "logout_all", "delete_account"),
        "add_webhook",
        *("create_upload", "send_to_upload", "drop_upload", "post_to_upload"),
        *("admin_change_account", "change_account_limits"),
    }
    # A token of a minute for one page is no change; who it was made for is told when it opens something.
    assert {name.removesuffix(AT_AUTH) for name in silent} <= by_themselves | {"create_stream_token"}


class _Away(AuditLog):
    """A log that PostgreSQL is away for, until it is back."""

    def __init__(self) -> None:
        super().__init__(None, Callers())  # type: ignore[arg-type]
        self.away = True
        self.written: list[NewLine] = []

    async def write(self, lines: Any) -> None:
        if self.away:
            raise StoreUnavailable
        self.written += lines


async def test_lines_wait_for_postgres_and_the_oldest_go_when_there_are_too_many() -> None:
    log = _Away()
    trail = Trail(log, most=3)
    for number in range(5):
        trail.add(make_mocked_request("POST", "/v1/jobs"), f"job.{number}", "7")
    await trail.flush()
    assert log.written == []
    log.away = False
    await trail.flush()
    await trail.flush()
    assert [(line.action, line.details) for line in log.written] == [(f"job.{n}", {"id": "7"}) for n in (2, 3, 4)]
    assert OPERATOR not in {line.actor for line in log.written}


async def test_an_error_that_nobody_expected_does_not_end_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(_Away):
        async def write(self, lines: Any) -> None:
            if self.away:
                self.away = False
                raise ValueError
            await super().write(lines)

    monkeypatch.setattr("gateway.identity.trail.FLUSH_EVERY", 0.01)
    log = Broken()
    trail = Trail(log)
    trail.add(make_mocked_request("POST", "/v1/jobs"), "job.1", "7")
    keeping = asyncio.create_task(trail.keep())
    await eventually(lambda: log.written, 5)
    keeping.cancel()

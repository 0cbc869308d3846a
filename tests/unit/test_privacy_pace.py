"""Who reads an export slowly does not keep others from theirs."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import application
from gateway.privacy.api import PrivacyApi
from gateway.privacy.pace import LEAST, PATIENCE, Pace
from gateway.routes import ROUTES
from support.doors import BelievingDoor

OWNERS = [f"6f1d1f0e-3f53-4a52-9a4c-4b1f2ba5a00{n}" for n in range(3)]


class Reader:
    """Takes each piece after so many seconds of a clock of its own."""

    def __init__(self) -> None:
        self.at = 0.0
        self.pace = Pace(clock=lambda: self.at)

    async def takes(self, size: int, seconds: float) -> None:
        async def writing() -> None:
            self.at += seconds

        await self.pace.keep(writing(), size)


async def test_who_reads_faster_than_the_least_speed_may_take_all_day() -> None:
    reader = Reader()
    for _ in range(10_000):
        await reader.takes(LEAST * 10, 9.0)
    assert reader.at > 24 * 3600


async def test_who_always_takes_a_little_in_time_is_given_up_all_the_same() -> None:
    reader = Reader()
    for _ in range(4):
        await reader.takes(LEAST, PATIENCE / 4)
    with pytest.raises(ConnectionResetError):
        await reader.takes(LEAST, PATIENCE / 4)
    assert reader.at < 2 * PATIENCE


async def test_what_was_read_fast_gives_nobody_more_than_a_minute() -> None:
    reader = Reader()
    await reader.takes(LEAST * 3600, 0.1)
    with pytest.raises(ConnectionResetError):
        await reader.takes(1, PATIENCE + 1)


async def test_who_takes_nothing_is_not_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.privacy.pace.PATIENCE", 0.01)
    with pytest.raises(ConnectionResetError):
        await Pace().keep(asyncio.Event().wait(), 1)  # type: ignore[arg-type]


class Endless:
    """Exports that go on until a test lets them end."""

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def content(self, _owner: str, **_asked: Any) -> AsyncGenerator[bytes, None]:
        self.begun += 1
        yield b"begun"
        await self.end.wait()


async def test_one_export_is_mine_and_a_full_gateway_is_nobodys_fault() -> None:
    async def nothing(*_anything: Any, **_more: Any) -> web.Response:
        return web.json_response({})

    export = Endless()
    api = PrivacyApi(
        export=export,  # type: ignore[arg-type]
        store=SimpleNamespace(),  # type: ignore[arg-type]
        audit=nothing,  # type: ignore[arg-type]
        ended=lambda _owner: None,
        settings=SimpleNamespace(),  # type: ignore[arg-type]
    )
    handlers: dict[str, Any] = {route.operation: nothing for route in ROUTES} | {"export_account": api.export}
    async with TestClient(TestServer(application(handlers, BelievingDoor()))) as client:

        async def asked(owner: str) -> Any:
            return await client.get("/v1/account/export", headers={"Authorization": f"Bearer {owner}"})

        async def refused(owner: str) -> tuple[int, str, str]:
            answer = await asked(owner)
            return answer.status, (await answer.json())["type"].rpartition(":")[2], answer.headers["Retry-After"]

        under_way = [await asked(owner) for owner in OWNERS[:2]]
        assert [answer.status for answer in under_way] == [200, 200]
        assert await refused(OWNERS[0]) == (409, "export-under-way", "30")
        assert await refused(OWNERS[2]) == (503, "unavailable", "30")
        assert export.begun == 2
        export.end.set()
        for answer in under_way:
            assert await answer.read() == b"begun"
        assert (await asked(OWNERS[2])).status == 200

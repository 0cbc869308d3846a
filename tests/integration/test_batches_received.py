"""Manifests received into real rows: what one odd line costs, and what one request may do to another's batch."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.blobs import BlobInfo, BlobsUnavailable
from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.batches.erase import Eraser
from gateway.batches.release_store import ReleaseStore
from gateway.batches.store import BatchStore, Busy
from gateway.batches.submit import SubmitBatch
from gateway.database import Database
from gateway.principal import PRINCIPAL, SCOPES, Principal
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from support.platform import fresh_database
from support.waiting import eventually

ANN = Principal(owner="ann", via="key", scopes=SCOPES)
LINES = [b'{"blob":"%d"}\n' % number for number in range(1500)]


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(address))
    return address


class Side:
    """What receives manifests, over a drop area whose listing can be held up or broken."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.found = ["a.mp3", "b.mp3"]
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.listing = 0
        self.broken = False
        database = Database(pool, seconds=5)
        neighbours: Any = self
        self.submit = SubmitBatch(
            store=BatchStore(database),
            eraser=Eraser(store=ReleaseStore(database), producer=neighbours, seconds=1),
            acceptance=neighbours,
            blobs=neighbours,
            crypt=Crypt([Fernet.generate_key().decode()]),
            wake=lambda: None,
            settings=GatewaySettings(operator_key_file=Path("/x"), encryption_keys_file=Path("/x"), batch_items=1200),
        )

    def plan(self, options: object) -> None:
        """Everything can be done."""

    async def publish(self, event: object, **_: object) -> None:
        """Nobody hears it."""

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        self.listing += 1
        await self.go_on.wait()
        for name in self.found:
            yield BlobInfo(prefix + name, 1, datetime.now(UTC))
        if self.broken:
            raise BlobsUnavailable

    async def send(
        self, body: bytes, key: str | None = None, kind: str = "application/x-ndjson", **more: str
    ) -> web.Response:
        payload = self.body(body)
        payload.feed_eof()
        return await self.request(payload, key, kind, **more)

    def body(self, begins: bytes) -> aiohttp.StreamReader:
        payload = aiohttp.StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
        payload.feed_data(begins)
        return payload

    async def request(
        self, payload: aiohttp.StreamReader, key: str | None, kind: str = "application/x-ndjson", **more: str
    ) -> web.Response:
        headers = {"Content-Type": kind, **({"Idempotency-Key": key} if key else {}), **more}
        request = make_mocked_request("POST", "/v1/batches", headers, payload=payload)
        request[PRINCIPAL] = ANN
        return await self.submit(request)

    async def status(self, body: bytes, key: str | None = None, kind: str = "application/x-ndjson", **more: str) -> int:
        try:
            return (await self.send(body, key, kind, **more)).status
        except Problem as problem:
            return problem.kind.status

    async def received(self) -> Sequence[int]:
        rows = await self.pool.fetch("SELECT received FROM batches WHERE status = 'receiving'")
        return [row["received"] for row in rows]

    async def first_stretch(self, key: str) -> None:
        """A submit whose client goes when a thousand lines are kept."""
        payload = self.body(b"".join(LINES[:1100]))
        sending = asyncio.create_task(self.request(payload, key))
        await eventually(self.has_some)
        payload.set_exception(ConnectionResetError())
        with pytest.raises(ConnectionError):
            await sending
        assert await self.received() == [1000]

    async def has_some(self) -> bool:
        return await self.received() == [1000]


@pytest.fixture
async def side(dsn: str) -> AsyncIterator[Side]:
    async with open_pool(CommonSettings(database_url=SecretStr(dsn))) as pool:
        await pool.execute("TRUNCATE batches, batch_items")
        yield Side(pool)


async def test_one_odd_line_costs_itself_alone(side: Side) -> None:
    odd = [b'{"blob":"a","x\\u0000y":1}', b'{"blob":"a","options":{"x\\u0000y":1}}', b'{"blob":"a"}']
    assert await side.status(b"\n".join(odd)) == 202
    cell = b'"{""a"":' + b"[" * 985 + b"]" * 985 + b'}"'
    assert await side.status(b"blob,options\na," + cell + b'\na,"{""\\ud800"":1}"\nb,\n', kind="text/csv") == 202
    rows = await side.pool.fetch("SELECT total, bad FROM batches ORDER BY created_at")
    assert [tuple(row) for row in rows] == [(3, 2), (3, 2)]


async def test_what_is_refused_at_once_leaves_another_requests_half_batch(side: Side) -> None:
    await side.first_stretch("k")
    assert await side.status(b"", "k", **{"Content-Length": str(10**12)}) == 413
    assert await side.status(b"", "k") == 422
    assert await side.received() == [1000]
    assert await side.status(b"".join(LINES[:1100]), "k") == 202


async def test_what_would_be_refused_again_is_forgotten_with_what_came_of_it_before(side: Side) -> None:
    await side.first_stretch("k")
    assert await side.status(b"".join(LINES), "k") == 413, "it is that manifest, and has too many items"
    assert await side.received() == []
    assert await side.status(b"", "k") == 422
    assert await side.received() == []


class TestPrefix:
    KIND = "application/json"

    async def test_the_same_prefix_in_other_json_is_the_same_request(self, side: Side) -> None:
        assert await side.status(b'{"prefix": "talks/"}', "k", self.KIND) == 202
        assert await side.status(b'{ "prefix":"talks\\/" }', "k", self.KIND) == 202
        assert await side.status(b'{"prefix": "other/"}', "k", self.KIND) == 422
        assert (await side.pool.fetchval("SELECT count(*) FROM batches"), side.listing) == (1, 1)

    async def test_names_that_no_line_could_have_are_bad_items(self, side: Side) -> None:
        side.found = ["a\udcff.mp3", "a\\b.mp3", "c.mp3", "d\u202e.mp3"]
        assert await side.status(b'{"prefix": ""}', None, self.KIND) == 202
        rows = await side.pool.fetch("SELECT state, shown, error_field FROM batch_items ORDER BY line")
        assert [tuple(row) for row in rows] == [
            ("bad", "a.mp3", "blob"),
            ("bad", "a\\b.mp3", "blob"),
            ("waiting", "c.mp3", None),
            ("bad", "d.mp3", "blob"),
        ]

    async def test_of_two_at_once_one_lists_and_the_other_is_told_to_come_again(self, side: Side) -> None:
        side.go_on.clear()
        first = asyncio.create_task(side.status(b'{"prefix": "talks/"}', "k", self.KIND))
        await eventually(lambda: self.true(side.listing == 1))
        assert await side.status(b'{"prefix": "talks/"}', "k", self.KIND) == 503
        assert await side.status(b'{"prefix": "other/"}', "k", self.KIND) == 422
        side.go_on.set()
        assert await first == 202
        assert await side.status(b'{"prefix": "talks/"}', "k", self.KIND) == 202
        assert await side.pool.fetchval("SELECT count(*) FROM batch_items") == 2

    async def test_a_listing_that_broke_is_begun_anew_at_once(self, side: Side) -> None:
        side.broken = True
        with pytest.raises(BlobsUnavailable):
            await side.send(b'{"prefix": "talks/"}', "k", self.KIND)
        side.broken = False
        assert await side.status(b'{"prefix": "talks/"}', "k", self.KIND) == 202

    async def test_who_died_while_listing_loses_the_turn(self, side: Side) -> None:
        side.go_on.clear()
        listing = asyncio.create_task(side.send(b'{"prefix": "talks/"}', "k", self.KIND))
        await eventually(lambda: self.true(side.listing == 1))
        await side.pool.execute("UPDATE batches SET turn_until = now() - interval '1 second'")
        side.go_on.set()
        assert await side.status(b'{"prefix": "talks/"}', "k", self.KIND) == 202
        await asyncio.gather(listing, return_exceptions=True)
        assert await side.pool.fetchval("SELECT count(*) FROM batch_items") == 2

    async def test_who_lost_the_turn_neither_adds_to_it_nor_gives_it_up(self, side: Side) -> None:
        store, batch = BatchStore(Database(side.pool, seconds=5)), uuid4()
        await store.begin(batch, "ann", request="", keyed=True)
        _, lost = await store.begin_anew(batch, "d")
        await side.pool.execute("UPDATE batches SET turn_until = now() - interval '1 second'")
        _, turn = await store.begin_anew(batch, "d")
        with pytest.raises(Busy):
            await store.add(batch, "ann", [], since=0, upto=1, digest="d", turn=lost)
        with pytest.raises(Busy):
            await store.whole(batch, upto=0, digest="d", total=0, bad=0, turn=lost)
        await store.give_up_turn(batch, lost)
        with pytest.raises(Busy):
            await store.begin_anew(batch, "d")
        turn = await store.add(batch, "ann", [], since=0, upto=1, digest="d", turn=turn)
        await store.give_up_turn(batch, turn)
        await store.begin_anew(batch, "d")

    async def true(self, value: bool) -> bool:
        return value

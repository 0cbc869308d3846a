"""Batches over a real gateway, PostgreSQL and Kafka: received as they stream in, released little by little."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.rotate import rotate
from support.ending_stage import EndingStage, ending_stage
from support.gateway import KEY, RunningGateway, encryption_keys, prepare, problem, running_gateway
from support.gateway_process import gateway_process
from support.platform import fresh_database
from support.waiting import eventually

NDJSON = {"Content-Type": "application/x-ndjson"}
SECRET = "s3cret-signature"


@pytest.fixture(scope="module")
async def dsn(kafka_bootstrap: str, postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, address)
    return address


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    async with running_gateway(
        kafka_bootstrap, dsn, tmp_path_factory.mktemp("batches"), batch_items=3000, batch_poll_seconds=1.0
    ) as running:
        yield running


@pytest.fixture
async def stage(kafka_bootstrap: str, dsn: str) -> AsyncIterator[EndingStage]:
    async with ending_stage(kafka_bootstrap, dsn) as running:
        yield running


def line(number: int, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"url": f"https://media.example/{name}-{number}.mp3?sig={SECRET}", "reference": str(number), **more}


def manifest(*lines: Any) -> bytes:
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines)


async def send(
    gateway: RunningGateway, body: Any, *, status: int = 202, key: str | None = None, query: str = "", **headers: str
) -> dict[str, Any]:
    headers = NDJSON | headers | ({"Idempotency-Key": key} if key else {})
    async with gateway.http.post(f"/v1/batches{query}", data=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        found = dict(await answer.json())
        if status == 202:
            assert answer.headers["Location"] == f"/v1/batches/{found['id']}"
        return found


async def get(gateway: RunningGateway, path: str, status: int = 200) -> dict[str, Any]:
    async with gateway.http.get(f"/v1/batches{path}") as answer:
        assert answer.status == status, await answer.text()
        return dict(await answer.json())


async def ended(gateway: RunningGateway, batch: str, status: str = "completed") -> dict[str, Any]:
    async def whole() -> dict[str, Any] | None:
        found = await get(gateway, f"/{batch}")
        return found if found["status"] == status and found["finished_at"] else None

    return await eventually(whole, 60)


async def items(gateway: RunningGateway, batch: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await get(gateway, f"/{batch}/items?limit=100{query}{cursor}")
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def rows(dsn: str, statement: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


NUMBERS = ("queued", "running", "completed", "failed", "cancelled", "bad")


async def test_every_item_ends_once_and_is_told_of(gateway: RunningGateway, stage: EndingStage, dsn: str) -> None:
    lines: list[Any] = [line(number, options={"language": "en-US"}) for number in range(150)]
    lines[3] = b"{"
    lines[70] = line(70, options={"priority": "interactive"})
    accepted = await send(gateway, manifest(*lines), query="?reuse=false&language=en-GB")
    assert {name: accepted[name] for name in ("status", "total", "bad")} == {
        "status": "running",
        "total": 150,
        "bad": 1,
    }
    batch = await ended(gateway, accepted["id"])
    assert {name: batch[name] for name in NUMBERS} == dict.fromkeys(NUMBERS, 0) | {"completed": 149, "bad": 1}
    assert batch["total"] == 150
    assert batch["eta_seconds"] is None
    found = await items(gateway, accepted["id"])
    assert [item["line"] for item in found] == list(range(1, 151))
    jobs = {UUID(item["job_id"]) for item in found if item["status"] == "completed"}
    assert len(jobs) == 149
    assert {job: stage.received[job] for job in jobs} == dict.fromkeys(jobs, 1)
    assert stage.most_open <= 64
    event = stage.events[UUID(found[0]["job_id"])]
    assert (event.lane, event.filename, event.remote) == ("bulk", "a-0.mp3", True)
    assert (event.options.language, event.options.reuse) == ("en-US", False)
    assert stage.events[UUID(found[70]["job_id"])].lane == "interactive"
    assert found[0] == {
        "line": 1,
        "status": "completed",
        "reference": "0",
        "url": "https://media.example/a-0.mp3",
        "blob": None,
        "upload": None,
        "job_id": found[0]["job_id"],
        "attempt": 1,
        "duration": 2.0,
        "field": None,
        "error": None,
    }
    bad = await items(gateway, accepted["id"], "&status=bad")
    assert [(item["line"], item["field"], item["error"]["message"]) for item in bad] == [
        (4, "line", "is not JSON in UTF-8")
    ]
    stored = json.loads((gateway.blobs / event.source.name).read_text())
    assert SECRET in stored["url"]  # where the transcoder finds it, and nowhere else
    kept = await rows(dsn, "SELECT batch_items::text FROM batch_items WHERE batch_id = $1", UUID(accepted["id"]))
    assert len(kept) == 150
    assert not [row for row in kept if SECRET in row[0]]


async def test_the_report_is_the_items_as_csv(gateway: RunningGateway, stage: EndingStage) -> None:
    stage.ends = lambda event: "failed" if event.filename == "x-2.mp3" else "completed"
    accepted = await send(gateway, manifest(line(1), line(2, "x"), {"reference": 'a "b", c', "url": "no"}))
    await ended(gateway, accepted["id"])
    async with gateway.http.get(f"/v1/batches/{accepted['id']}/report") as answer:
        assert answer.content_type == "text/csv"
        found = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [(row["line"], row["reference"], row["status"], row["error_code"], row["duration"]) for row in found] == [
        ("1", "1", "completed", "", "2.0"),
        ("2", "2", "failed", "not_media", "2.0"),
        ("3", 'a "b", c', "bad", "bad_line", ""),
    ]


async def test_csv_and_prefix_name_blobs(gateway: RunningGateway, stage: EndingStage) -> None:
    for name in ("users/operator/incoming/talks/b.mp3", "users/operator/incoming/talks/a.mp3", "shared/c.mp3"):
        gateway.store(name, b"sound")
    listed = await send(
        gateway, b"\xef\xbb\xbfblob,language\r\nshared/c.mp3,en-GB\r\n", **{"Content-Type": "text/csv; charset=utf-8"}
    )
    folder = await send(
        gateway, b'{"prefix": "users/operator/incoming/talks/"}', **{"Content-Type": "application/json"}
    )
    assert (listed["total"], folder["total"]) == (1, 2)
    await ended(gateway, listed["id"])
    await ended(gateway, folder["id"])
    found = await items(gateway, folder["id"])
    assert sorted(item["blob"] for item in found) == [
        "users/operator/incoming/talks/a.mp3",
        "users/operator/incoming/talks/b.mp3",
    ]
    event = stage.events[UUID(found[0]["job_id"])]
    assert event.remote
    assert json.loads((gateway.blobs / event.source.name).read_text()) == {"blob": found[0]["blob"]}
    assert stage.events[UUID((await items(gateway, listed["id"]))[0]["job_id"])].options.language == "en-GB"


async def test_held_uploads_become_jobs(gateway: RunningGateway, stage: EndingStage) -> None:
    async def upload(metadata: str) -> str:
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": "5",
            "Upload-Metadata": metadata,
            "Content-Type": "application/offset+octet-stream",
        }
        async with gateway.http.post("/v1/uploads", data=b"sound", headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return answer.headers["Location"].rpartition("/")[2]

    held = await upload("hold,filename YS5tcDM=")
    accepted = await send(gateway, manifest({"upload": held}, {"upload": held}, {"upload": str(uuid4())}))
    await ended(gateway, accepted["id"])
    *both, third = await items(gateway, accepted["id"])
    first, second = sorted(both, key=lambda item: str(item["status"]))  # whichever of the two came first has it
    assert [item["status"] for item in (first, second, third)] == ["completed", "failed", "failed"]
    event = stage.events[UUID(first["job_id"])]
    assert (gateway.blobs / event.source.name).read_bytes() == b"sound"
    assert event.filename == "a.mp3"
    assert second["error"]["code"] == "upload_taken"
    assert second["job_id"] is None
    assert third["error"]["code"] == "not_found"
    async with gateway.http.delete(f"/v1/batches/{accepted['id']}") as answer:
        assert answer.status == 202
    await eventually(lambda: stage.controls[event.job_id, "delete"])


async def test_strict_refuses_whole_and_keeps_nothing(gateway: RunningGateway, dsn: str) -> None:
    lines = [line(number) if number % 10 else {"url": 7} for number in range(1200)]
    async with gateway.http.post("/v1/batches?strict=true", data=manifest(*lines), headers=NDJSON) as answer:
        document = await problem(answer, 422, "invalid-request")
    assert document["bad"] == 120
    assert len(document["errors"]) == 100
    assert document["errors"][0] == {"field": "line 1: url", "message": "must be text"}
    assert await rows(dsn, "SELECT FROM batches WHERE status = 'receiving'") == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "slug"),
    [
        (b"", "application/x-ndjson", 422, "invalid-request"),
        (b"\n \r\n", "application/x-ndjson", 422, "invalid-request"),
        (b"url\n", "text/csv", 422, "invalid-request"),
        (b"url,colour\nx,y\n", "text/csv", 422, "invalid-request"),
        (b"\xff\xfeu\x00", "text/csv", 422, "invalid-request"),
        (b"{}\n" * 3001, "application/x-ndjson", 413, "too-large"),
        (b"{", "application/json", 400, "malformed-request"),
        (b'{"prefix": "users/ann/incoming/"}', "application/json", 422, "invalid-request"),
        (b'{"prefix": "../"}', "application/json", 422, "invalid-request"),
        (b'{"prefix": "nothing/"}', "application/json", 422, "invalid-request"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    gateway: RunningGateway, dsn: str, body: bytes, kind: str, status: int, slug: str
) -> None:
    before = await rows(dsn, "SELECT count(*) FROM batch_items")
    async with gateway.http.post("/v1/batches", data=body, headers={"Content-Type": kind}) as answer:
        await problem(answer, status, slug)
    assert await rows(dsn, "SELECT count(*) FROM batch_items") == before
    assert await rows(dsn, "SELECT FROM batches WHERE status IN ('receiving', 'deleting')") == []


async def test_a_cut_submit_goes_on_where_it_was(gateway: RunningGateway, stage: EndingStage, dsn: str) -> None:
    body = manifest(*(line(number) for number in range(2500)))
    key = str(uuid4())

    async def cut() -> AsyncIterator[bytes]:
        yield body[: len(body) * 7 // 10]
        await eventually(lambda: arrived(1000))
        raise ConnectionResetError

    async def arrived(least: int) -> bool:
        return bool(await rows(dsn, "SELECT FROM batches WHERE received >= $1 AND status = 'receiving'", least))

    with pytest.raises(aiohttp.ClientError):
        await send(gateway, cut(), key=key)
    assert await arrived(1000)
    assert (await send(gateway, body.replace(b"a-3.mp3", b"b-3.mp3"), key=key, status=422))["type"].endswith("reused")
    assert (await send(gateway, body, key=key, query="?language=en-GB", status=422))["type"].endswith("reused")
    accepted = await send(gateway, body, key=key)
    assert accepted["total"] == 2500
    assert await send(gateway, body, key=key) | {"status": ""} == accepted | {"status": ""}
    assert (await send(gateway, body + manifest(line(0)), key=key, status=422))["type"].endswith("reused")
    counted = await rows(
        dsn, "SELECT count(*), min(line), max(line) FROM batch_items WHERE batch_id = $1", UUID(accepted["id"])
    )
    assert [tuple(row) for row in counted] == [(2500, 1, 2500)]
    async with gateway.http.delete(f"/v1/batches/{accepted['id']}") as answer:
        assert answer.status == 202
    await get(gateway, f"/{accepted['id']}", 404)

    async def erased() -> bool:
        return not await rows(dsn, "SELECT FROM batch_items WHERE batch_id = $1", UUID(accepted["id"]))

    await eventually(erased, 60)
    assert (await send(gateway, body, key=key, status=409))["type"].endswith("job-deleted")


async def test_a_cut_submit_without_a_key_leaves_nothing(gateway: RunningGateway, dsn: str) -> None:
    body = manifest(*(line(number) for number in range(1500)))

    async def receiving() -> bool:
        return bool(await rows(dsn, "SELECT FROM batches WHERE status = 'receiving' AND received > 0"))

    async def cut() -> AsyncIterator[bytes]:
        yield body
        await eventually(receiving)
        raise ConnectionResetError

    with pytest.raises(aiohttp.ClientError):
        await send(gateway, cut())

    async def gone() -> bool:
        return not await receiving()

    await eventually(gone)


async def test_retry_touches_only_the_failed(gateway: RunningGateway, stage: EndingStage) -> None:
    stage.ends = lambda event: "failed" if str(event.filename).startswith("x") else "completed"
    accepted = await send(gateway, manifest(line(1), line(2, "x"), b"{", line(3, "x"), line(4)))
    path = f"/v1/batches/{accepted['id']}/retry"
    before = await ended(gateway, accepted["id"])
    assert {name: before[name] for name in ("completed", "failed", "bad")} == {"completed": 2, "failed": 2, "bad": 1}
    first = await items(gateway, accepted["id"])
    assert first[1]["error"] == {"code": "not_media", "message": "It is no recording."}
    stage.ends = lambda event: None
    for _ in range(2):
        async with gateway.http.post(path) as answer:
            assert answer.status == 202
            assert (await answer.json())["status"] == "running"
    known = len(stage.events)
    await eventually(lambda: len(stage.events) == known)
    await eventually(lambda: stage._open)
    second = await eventually(lambda: _released(gateway, accepted["id"]))
    assert [a["job_id"] == b["job_id"] for a, b in zip(first, second, strict=True)] == [True, False, True, False, True]
    assert [item["attempt"] for item in second] == [1, 2, 1, 2, 1]
    async with gateway.http.post(path) as answer:  # they run, so there is nothing to try again
        assert answer.status == 202
    await stage.let_go()
    after = await ended(gateway, accepted["id"])
    assert {name: after[name] for name in ("completed", "failed", "bad")} == {"completed": 4, "failed": 0, "bad": 1}
    assert max(stage.received.values()) == 1


async def _released(gateway: RunningGateway, batch: str) -> list[dict[str, Any]] | None:
    found = await items(gateway, batch)
    return found if all(item["job_id"] for item in found if item["status"] != "bad") else None


async def test_cancel_drops_what_waits_and_stops_what_runs(gateway: RunningGateway, stage: EndingStage) -> None:
    stage.ends = lambda event: None
    accepted = await send(gateway, manifest(*(line(number) for number in range(200))))
    await eventually(lambda: len(stage._open) == 64)
    running = await get(gateway, f"/{accepted['id']}")
    assert (running["queued"], running["running"], running["eta_seconds"]) == (200, 0, None)
    async with gateway.http.post(f"/v1/batches/{accepted['id']}/cancel") as answer:
        assert answer.status == 202
        assert (await answer.json())["status"] == "cancelled"
    batch = await ended(gateway, accepted["id"], "cancelled")
    assert (batch["cancelled"], batch["queued"]) == (200, 0)
    assert sum(action == "cancel" for _, action in stage.controls) == 64
    assert len(stage.events) == 64
    for action in ("cancel", "retry"):
        async with gateway.http.post(f"/v1/batches/{accepted['id']}/{action}") as answer:
            assert (await problem(answer, 409, "already-ended"))["batch_status"] == "cancelled"
    assert len(await items(gateway, accepted["id"], "&status=cancelled")) == 200


async def test_an_estimate_comes_of_what_went_lately(gateway: RunningGateway, stage: EndingStage) -> None:
    stage.ends = lambda event: "completed" if int(str(event.filename)[2:-4]) < 40 else None
    accepted = await send(gateway, manifest(*(line(number) for number in range(100))))

    async def estimated() -> dict[str, Any] | None:
        found = await get(gateway, f"/{accepted['id']}")
        return found if found["completed"] == 40 else None

    found = await eventually(estimated)
    assert 0 < found["eta_seconds"] < 600
    await stage.let_go()
    stage.ends = lambda event: "completed"
    await eventually(lambda: len(stage.events) == 100)
    await stage.let_go()
    await ended(gateway, accepted["id"])


async def test_what_is_not_there_is_not_found(gateway: RunningGateway) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/report"),
        ("POST", "/retry"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ):
        async with gateway.http.request(method, f"/v1/batches/{uuid4()}{path}") as answer:
            await problem(answer, 404, "not-found")


async def test_batches_are_listed_newest_first(gateway: RunningGateway, stage: EndingStage) -> None:
    made = [(await send(gateway, manifest(line(number))))["id"] for number in range(3)]
    page = await get(gateway, "?limit=2")
    assert [batch["id"] for batch in page["batches"]] == [made[2], made[1]]
    following = await get(gateway, f"?limit=1&cursor={page['next_cursor']}")
    assert [batch["id"] for batch in following["batches"]] == [made[0]]


async def test_addresses_follow_when_the_keys_rotate(
    gateway: RunningGateway, stage: EndingStage, dsn: str, tmp_path: Path
) -> None:
    accepted = await send(gateway, manifest(line(1), line(2)))
    await ended(gateway, accepted["id"])
    [old] = (gateway.blobs.parent / "encryption.keys").read_text().split()
    keys = [Fernet.generate_key().decode(), old]
    counted = await rotate(SecretStr(dsn), Crypt(keys))
    assert counted["batch_items.address"].renewed >= 2
    assert (await rotate(SecretStr(dsn), Crypt(keys)))["batch_items.address"].renewed == 0
    found = await rows(dsn, "SELECT address FROM batch_items WHERE batch_id = $1 ORDER BY line", UUID(accepted["id"]))
    assert [Crypt(keys[:1]).decrypt(row["address"]) for row in found] == [line(1)["url"], line(2)["url"]]
    assert await rotate(SecretStr(dsn), Crypt([old, keys[0]]))  # as it was, for the gateway that runs


async def test_a_gateway_killed_while_it_releases_costs_no_item_and_makes_none_twice(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path: Path
) -> None:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    eager = {
        "SCRIBEWIRE_BATCH_CLAIM_SECONDS": "1",
        "SCRIBEWIRE_BATCH_POLL_SECONDS": "0.5",
        "SCRIBEWIRE_BATCH_OUTSTANDING": "16",
    }
    folders = [tmp_path / "one", tmp_path / "two"]
    blobs = {"SCRIBEWIRE_BLOBS": (tmp_path / "blobs").as_uri()}
    (tmp_path / "blobs").mkdir()
    for folder in folders:
        folder.mkdir()
        (folder / "encryption.keys").symlink_to(tmp_path / "encryption.keys")
    encryption_keys(tmp_path)
    async with (
        ending_stage(kafka_bootstrap, dsn) as stage,
        gateway_process(kafka_bootstrap, dsn, folders[0], **eager, **blobs) as (first, url),
        gateway_process(kafka_bootstrap, dsn, folders[1], **eager, **blobs) as (_, other),
        aiohttp.ClientSession(url, headers={"x-api-key": KEY}) as http,
        aiohttp.ClientSession(other, headers={"x-api-key": KEY}) as there,
    ):
        body = manifest(*(line(number) for number in range(600)))
        async with http.post("/v1/batches", data=body, headers=NDJSON) as answer:
            assert answer.status == 202, await answer.text()
            batch = (await answer.json())["id"]
        await eventually(lambda: len(stage.events) > 100, every=0.005)
        first.kill()

        async def done() -> dict[str, Any] | None:
            async with there.get(f"/v1/batches/{batch}") as answer:
                found = dict(await answer.json())
            return found if found["status"] == "completed" else None

        found = await eventually(done, 60)
        assert (found["completed"], found["total"]) == (600, 600)
        jobs = await rows(dsn, "SELECT job_id FROM batch_items WHERE batch_id = $1", UUID(batch))
        assert {row["job_id"] for row in jobs} == set(stage.events)
        assert await rows(dsn, "SELECT count(*) FROM jobs") == [(600,)]

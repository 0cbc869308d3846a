"""What users get while a part is away, and that nothing is lost or left behind."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from common.blobs import BlobsUnavailable, Chunks, Name
from common.blobs.folder import FolderBlobs
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.database import Database
from gateway.store import Store
from gateway.sweep import sweep
from support.faulty_proxy import faulty_proxy
from support.gateway import DEAD_DSN, RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database, running_kafka
from support.waiting import eventually

SOUND = b"RIFF sound"
SHA = hashlib.sha256(SOUND).hexdigest()


@pytest.fixture(scope="module")
async def dsn(kafka_bootstrap: str, postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, address)
    return address


class TestWithoutPostgres:
    @pytest.fixture
    async def gateway(self, kafka_bootstrap: str, dsn: str, tmp_path: Path) -> AsyncIterator[RunningGateway]:
        async with running_gateway(kafka_bootstrap, DEAD_DSN, tmp_path, store_seconds=0.5) as running:
            yield running

    async def test_uploads_are_taken_and_found_again(self, gateway: RunningGateway) -> None:
        job = await gateway.submit(SOUND)
        assert [event.job_id for event in await gateway.events(job["id"], "upload.received.interactive")]
        assert await gateway.job(job["id"]) == job

    async def test_an_idempotency_key_still_holds(self, gateway: RunningGateway) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        ids = set()
        for _ in range(2):
            async with gateway.http.post("/v1/jobs", data=SOUND, headers=headers) as answer:
                assert answer.status == 202
                ids.add((await answer.json())["id"])
        assert len(ids) == 1
        async with gateway.http.post("/v1/jobs", data=SOUND + b"!", headers=headers) as answer:
            await problem(answer, 422, "idempotency-key-reused")

    async def test_a_key_holds_at_another_gateway_too(
        self, gateway: RunningGateway, tmp_path: Path, kafka_bootstrap: str
    ) -> None:
        headers = {"Idempotency-Key": str(uuid4())}
        async with gateway.http.post("/v1/jobs", data=SOUND, headers=headers) as answer:
            first = await answer.json()
        async with (
            running_gateway(kafka_bootstrap, DEAD_DSN, tmp_path, store_seconds=0.5) as other,
            other.http.post("/v1/jobs", data=SOUND, headers=headers) as answer,
        ):
            assert await answer.json() == first

    async def test_what_only_postgres_knows_is_503(self, gateway: RunningGateway) -> None:
        for method, path in (("GET", "/v1/jobs"), ("GET", f"/v1/jobs/{uuid4()}"), ("GET", "/v1/webhooks")):
            async with gateway.http.request(method, path) as answer:
                await problem(answer, 503, "unavailable")
                assert answer.headers["Retry-After"] == "5"

    async def test_it_is_degraded_not_unready(self, gateway: RunningGateway) -> None:
        async def ready() -> dict[str, object] | None:
            async with gateway.http.get("/readyz") as answer:
                return await answer.json() if answer.status == 200 else None

        assert await eventually(ready) == {"status": "degraded", "reasons": ["postgres does not answer"]}


class TestFrozenPostgres:
    async def test_an_upload_waits_no_longer_than_it_must(self, kafka_bootstrap: str, dsn: str, tmp_path: Path) -> None:
        async with (
            faulty_proxy(dsn, speaks="postgres") as (proxy, through),
            running_gateway(kafka_bootstrap, through, tmp_path, store_seconds=0.5) as gateway,
        ):
            await gateway.submit(SOUND)
            await proxy.inject("half-open")
            async with asyncio.timeout(5):
                job = await gateway.submit(SOUND)
                assert await gateway.job(job["id"]) == job
                async with gateway.http.get("/v1/jobs") as answer:
                    await problem(answer, 503, "unavailable")
            await proxy.heal()

            async def listed() -> bool:
                async with gateway.http.get("/v1/jobs") as answer:
                    return answer.status == 200

            assert await eventually(listed)


class TestWithoutBlobs:
    async def test_a_folder_that_is_gone_is_503(self, kafka_bootstrap: str, dsn: str, tmp_path: Path) -> None:
        async with running_gateway(kafka_bootstrap, dsn, tmp_path) as gateway:
            away = tmp_path / "unmounted"
            gateway.blobs.rename(away)
            async with gateway.http.post("/v1/jobs", data=SOUND) as answer:
                await problem(answer, 503, "unavailable")
                assert answer.headers["Retry-After"] == "5"
            async with gateway.http.get("/readyz") as answer:
                assert answer.status == 503
            away.rename(gateway.blobs)
            assert gateway.stored() == []
            await gateway.submit(SOUND)

    async def test_something_else_in_its_place_is_no_erased_result(
        self, kafka_bootstrap: str, dsn: str, tmp_path: Path
    ) -> None:
        async with running_gateway(kafka_bootstrap, dsn, tmp_path) as gateway:
            job = (await gateway.submit(SOUND))["id"]
            await gateway.record(job, status="completed", transcript_blob=f"users/operator/results/{job}/t.json")
            away = gateway.blobs.rename(tmp_path / "unmounted")
            gateway.blobs.touch()
            async with gateway.http.get(f"/v1/jobs/{job}/transcript") as answer:
                await problem(answer, 503, "unavailable")
            async with gateway.http.get("/readyz") as answer:
                assert (answer.status, "blobs does not answer" in (await answer.json())["reasons"]) == (503, True)
            gateway.blobs.unlink()
            away.rename(gateway.blobs)

    async def test_a_full_disk_is_503_and_leaves_nothing(
        self, kafka_bootstrap: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk fills up while the second block is written."""
        real = FolderBlobs.write

        async def full(self: FolderBlobs, name: Name, chunks: Chunks | bytes) -> bool:
            async def until_full() -> AsyncIterator[bytes]:
                assert not isinstance(chunks, bytes)
                yield await anext(chunks)
                raise BlobsUnavailable

            return await real(self, name, until_full())

        async with running_gateway(kafka_bootstrap, dsn, tmp_path) as gateway:
            monkeypatch.setattr(FolderBlobs, "write", full)
            async with gateway.http.post("/v1/jobs", data=SOUND * 10_000) as answer:
                await problem(answer, 503, "unavailable")
            assert gateway.stored() == []


class TestWithoutKafka:
    async def test_503_keeps_the_bytes_and_the_same_request_later_is_one_job(self, dsn: str, tmp_path: Path) -> None:
        headers = {"Idempotency-Key": "while-kafka-is-away"}
        with running_kafka() as kafka:
            await prepare(kafka.bootstrap, dsn)
            async with running_gateway(kafka.bootstrap, dsn, tmp_path, publish_seconds=1.0) as gateway:

                async def warm() -> bool:
                    async with gateway.http.post("/v1/jobs", data=SOUND) as answer:
                        return answer.status == 202

                assert await eventually(warm, seconds=60)
                kafka.kill()
                before = gateway.stored()
                async with gateway.http.post("/v1/jobs", data=SOUND, headers=headers) as answer:
                    await problem(answer, 503, "unavailable")
                    assert answer.headers["Retry-After"] == "5"
                kept = [name for name in gateway.stored() if name not in before]
                assert [Path(name).name for name in kept] == sorted([SHA, "claim.json"])
                async with gateway.http.get("/v1/jobs") as answer:
                    assert answer.status == 200
                async with gateway.http.get("/readyz") as answer:
                    assert "kafka does not answer" in (await answer.json())["reasons"]

                kafka.start()

                async def taken() -> dict[str, object] | None:
                    async with gateway.http.post("/v1/jobs", data=SOUND, headers=headers) as answer:
                        return json.loads(await answer.text()) if answer.status == 202 else None

                job = await eventually(taken, seconds=60)
                assert [name for name in gateway.stored() if name not in before] == kept
                events = await gateway.events(str(job["id"]), "upload.received.interactive")
                assert len({event.model_dump_json() for event in events}) == 1

    async def test_a_gateway_started_without_kafka_lives_and_is_not_ready(self, dsn: str, tmp_path: Path) -> None:
        async with running_gateway("127.0.0.1:9", dsn, tmp_path, publish_seconds=0.5) as gateway:
            async with gateway.http.get("/healthz") as answer:
                assert answer.status == 200
            async with gateway.http.get("/readyz") as answer:
                assert answer.status == 503
            async with gateway.http.post("/v1/jobs", data=SOUND) as answer:
                await problem(answer, 503, "unavailable")


class TestOrphans:
    async def test_only_old_bytes_without_a_job_are_swept(self, kafka_bootstrap: str, dsn: str, tmp_path: Path) -> None:
        async with running_gateway(kafka_bootstrap, dsn, tmp_path) as gateway:
            kept = (await gateway.submit(SOUND))["id"]
            old, young = uuid4(), uuid4()
            for job in (old, young):
                gateway.store(f"users/operator/originals/{job}/{SHA}", SOUND)
                gateway.store(f"users/operator/originals/{job}/claim.json", b"{}")
            for path in gateway.blobs.rglob("*"):
                if path.is_file() and str(young) not in str(path):
                    os.utime(path, (1, 1))
            blobs = FolderBlobs(gateway.blobs)
            async with open_pool(CommonSettings(database_url=SecretStr(dsn))) as pool:
                store = Store(Database(pool, seconds=5))
                # A database that does not reach back that far may be a new one, still to be rebuilt from the log.
                assert await sweep(blobs, store, older_than=timedelta(hours=24)) == 0
                await pool.execute("UPDATE jobs SET created_at = to_timestamp(0) WHERE id = $1", UUID(kept))
                assert await sweep(blobs, store, older_than=timedelta(hours=24)) == 1
                assert await sweep(blobs, store, older_than=timedelta(hours=24)) == 0
            left = {UUID(name.split("/")[3]) for name in gateway.stored()}
            assert left == {UUID(kept), young}


class TestUnknownErrors:
    async def test_500_tells_nothing_of_its_cause(
        self, kafka_bootstrap: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: object) -> None:
            raise RuntimeError("the secret is 42")

        monkeypatch.setattr(Store, "webhooks", broken)
        async with (
            running_gateway(kafka_bootstrap, dsn, tmp_path) as gateway,
            gateway.http.get("/v1/webhooks") as answer,
        ):
            text = await answer.text()
            await problem(answer, 500, "internal")
        assert "42" not in text
        assert "RuntimeError" not in text

"""The notifier as it runs: its own process, real Kafka, real PostgreSQL, a receiver that is a user's."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from common.bus.producer import Producer
from common.crypt import Crypt
from common.db.migrate import migrate
from common.events import BlobRef, JobCancelled, JobCompleted, Terminal
from common.options import JobOptions
from common.topics import apply
from common.webhook_secrets import sealed
from support.gateway import encryption_keys
from support.platform import fresh_database
from support.receiver import Receiver, hang, receiver
from support.waiting import eventually

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


class World:
    """A Kafka and a database that the tests here share."""

    def __init__(self, kafka: str, dsn: str, folder: Path) -> None:
        self.kafka, self.dsn, self.folder = kafka, dsn, folder
        self.key = folder / "operator.key"
        self.key.write_text("k" * 40)

    @asynccontextmanager
    async def notifier(self, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
        settings = {
            "SCRIBEWIRE_KAFKA": self.kafka,
            "DATABASE_URL": self.dsn,
            "SCRIBEWIRE_OPERATOR_KEY_FILE": str(self.key),
            "SCRIBEWIRE_ENCRYPTION_KEYS_FILE": str(encryption_keys(self.folder)),
            "SCRIBEWIRE_WEBHOOK_ALLOW_PRIVATE": "1",
            "SCRIBEWIRE_WEBHOOK_TIME_SCALE": "0.01",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "notifier", env={**clean, **settings, **env}, cwd=self.folder
        )
        try:
            yield process
            if process.returncode is None:
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 30) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def publish(self, *events: Terminal) -> None:
        producer = Producer(self.kafka, service="test")
        await producer.start()
        await producer.publish_many(events)
        await producer.stop()

    async def endpoint(self, url: str, owner: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        secret = sealed(Crypt.of_file(encryption_keys(self.folder)), SECRET)
        await connection.execute(
            "INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at) VALUES ($1,$2,$3,$4,$5,$6)",
            uuid4(), owner, url, secret, ["job.completed", "job.cancelled"], datetime.now(UTC) - timedelta(minutes=1),
        )  # fmt: skip
        await connection.close()


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@pytest.fixture
async def world(kafka_bootstrap: str, database: str, tmp_path: Path) -> World:
    await apply(kafka_bootstrap)
    return World(kafka_bootstrap, database, tmp_path)


def completed(owner: str, callback: str | None = None) -> JobCompleted:
    job = uuid4()
    return JobCompleted(
        job_id=job,
        owner=owner,
        created_at=datetime.now(UTC),
        options=JobOptions(callback_url=callback),
        transcript=BlobRef(name=f"users/{owner}/transcripts/{job}/transcript.json"),
    )


def has(there: Receiver, *events: Terminal) -> Callable[[], bool]:
    return lambda: {str(event.id) for event in events} <= set(there.accepted)


async def test_announcements_arrive_signed(world: World) -> None:
    async with receiver() as there, world.notifier():
        await world.endpoint(there.url, "ann")
        ended = completed("ann")
        cancelled = JobCancelled(job_id=uuid4(), owner="ann", created_at=datetime.now(UTC))
        await world.publish(ended, cancelled)
        await eventually(has(there, ended, cancelled), 60)
    for got in there.received:
        got.verify(SECRET)
    assert len(there.received) == 2


async def test_the_printed_secret_verifies_callbacks(world: World) -> None:
    async with receiver() as there, world.notifier():
        event = completed("ben", callback=f"{there.url}/cb")
        await world.publish(event)
        await eventually(has(there, event), 60)
    printed = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier", "secret",
        env={**os.environ, "SCRIBEWIRE_OPERATOR_KEY_FILE": str(world.key)}, stdout=asyncio.subprocess.PIPE,
        cwd=world.folder,
    )  # fmt: skip
    out, _ = await printed.communicate()
    there.received[0].verify(out.decode().strip())


async def test_killed_in_the_middle_it_delivers_under_the_same_id(world: World) -> None:
    async with receiver() as there:
        await world.endpoint(there.url, "cleo")
        there.answer = hang
        event = completed("cleo")
        async with world.notifier(SCRIBEWIRE_WEBHOOK_SECONDS="1") as first:
            await world.publish(event)
            await eventually(lambda: len(there.received) > 0, 60)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        there.answer = None
        async with world.notifier(SCRIBEWIRE_WEBHOOK_SECONDS="1"):
            await eventually(has(there, event), 60)
    assert {got.id for got in there.received} == {str(event.id)}
    assert len({got.body for got in there.received}) == 1


async def test_an_event_published_twice_is_delivered_once(world: World) -> None:
    async with receiver() as there, world.notifier():
        await world.endpoint(there.url, "dora")
        event, last = completed("dora"), completed("dora")
        await world.publish(event, event)
        await world.publish(event, last)
        await eventually(has(there, event, last), 60)
    assert sorted(there.accepted.values()) == [1, 1]


async def test_the_recorder_announces_only_what_is_recorded(world: World) -> None:
    """With the real recorder: when the message arrives, the job's row already says so."""
    from common.events import ErrorInfo, StageFailed, UploadReceived
    from common.options import SegmentPlan

    seen: list[str | None] = []

    async def look(request: web.Request) -> web.StreamResponse:
        job = (await request.json())["data"]["id"]
        connection = await asyncpg.connect(world.dsn)
        seen.append(await connection.fetchval("SELECT status FROM jobs WHERE id = $1", job))
        await connection.close()
        return web.Response()

    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
    async with receiver() as there, world.notifier():
        there.answer = look
        recorder = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "recorder", "serve", cwd=world.folder,
            env={**clean, "SCRIBEWIRE_KAFKA": world.kafka, "DATABASE_URL": world.dsn,
                 "SCRIBEWIRE_BLOBS": (world.folder / "blobs").as_uri()},
        )  # fmt: skip
        try:
            uploads = [
                UploadReceived(
                    job_id=uuid4(), owner="eva", source=BlobRef(name=f"users/eva/originals/{i}"), sha256="0" * 64,
                    options=JobOptions(callback_url=f"{there.url}/{i}"), plan=SegmentPlan(provider="pocketsphinx"),
                )
                for i in range(20)
            ]  # fmt: skip
            failures = [
                StageFailed(job_id=u.job_id, owner="eva", stage="transcoder",
                            error=ErrorInfo(code="no_audio", message="No audio."))
                for u in uploads
            ]  # fmt: skip
            producer = Producer(world.kafka, service="test")
            await producer.start()
            await producer.publish_many([*uploads, *failures])
            await producer.stop()
            await eventually(lambda: len(seen) >= 20, 90)
        finally:
            recorder.terminate()
            assert await asyncio.wait_for(recorder.wait(), 30) == 0
    assert set(seen) == {"failed"}

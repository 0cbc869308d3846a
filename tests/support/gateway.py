"""A gateway in the test's own process, on real Kafka and PostgreSQL and a folder of blobs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import asyncpg
from pydantic import SecretStr

from common import topics
from common.bus.follow import read_to_end
from common.bus.producer import Producer
from common.db.migrate import migrate
from common.events import Event
from common.keyfile import generate
from gateway.__main__ import gateway
from gateway.door import Door
from gateway.settings import GatewaySettings

KEY = "sw_test-key-of-the-operator"
DEAD_DSN = "postgresql://nobody@127.0.0.1:9/nothing"
"""Address of a PostgreSQL that is down: nothing listens on the discard port."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that serves, and what lies behind it."""

    url: str
    http: aiohttp.ClientSession
    blobs: Path
    kafka: str
    dsn: str

    async def submit(self, body: bytes = b"RIFFsound", *, name: str = "a.wav", **options: str) -> dict[str, Any]:
        """Send a file as a form and return the accepted job."""
        async with self.http.post("/v1/jobs", data=form(body, name=name, **options)) as answer:
            assert answer.status == 202, await answer.text()
            return dict(await answer.json())

    async def job(self, job: str) -> dict[str, Any]:
        """The job as shown now."""
        async with self.http.get(f"/v1/jobs/{job}") as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def publish(self, *events: Event) -> None:
        """Put events into the log, as the other services do."""
        producer = Producer(self.kafka, service="test")
        await producer.start()
        try:
            for event in events:
                await producer.publish(event, timeout=10)
        finally:
            await producer.stop()

    async def sql(self, statement: str, *values: object) -> None:
        """Change rows, as the recorder does."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def record(self, job: str, **columns: object) -> None:
        """Set columns of a job's row."""
        names = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=2))
        await self.sql(f"UPDATE jobs SET {names} WHERE id = $1", UUID(job), *columns.values())

    def store(self, name: str, content: bytes) -> None:
        """Put a blob, as the other services do."""
        path = self.blobs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def stored(self) -> list[str]:
        """Names of all blobs, and of anything half-written."""
        return sorted(
            str(path.relative_to(self.blobs))
            for path in self.blobs.rglob("*")
            if path.is_file() and not str(path.relative_to(self.blobs)).startswith(".leases")
        )

    async def events(self, job: str, *topics: str) -> list[Event]:
        """Every event of a job in the log by now."""
        found = [item.event async for item in read_to_end(self.kafka, topics) if item.event is not None]
        return [event for event in found if event.job_id == UUID(job)]


def form(body: bytes | None, *, name: str = "a.wav", **options: str) -> aiohttp.FormData:
    """A form with a file and options as fields."""
    data = aiohttp.FormData()
    for option, value in options.items():
        data.add_field(option, value)
    if body is not None:
        data.add_field("file", body, filename=name, content_type="audio/wav")
    return data


@asynccontextmanager
async def running_gateway(
    kafka: str, dsn: str, folder: Path, *, door: Door | None = None, **settings: Any
) -> AsyncIterator[RunningGateway]:
    """Serve on a free port until the block ends; ``door`` decides who comes in, in place of the gateway's own."""
    blobs = folder / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    key_file = folder / "operator.key"
    key_file.write_text(KEY + "\n")
    values: dict[str, Any] = {
        "encryption_keys_file": encryption_keys(folder),
        "kafka": kafka,
        "database_url": dsn,
        "blobs": blobs.as_uri(),
        "operator_key_file": key_file,
        "port": 0,
        "reuse": False,  # a test that sends the same bytes again means to have the work done again
    }
    async with (
        gateway(GatewaySettings(**(values | settings)), door=door) as url,
        aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"}) as http,
    ):
        yield RunningGateway(url, http, blobs, kafka, dsn)


async def problem(answer: aiohttp.ClientResponse, status: int, kind: str) -> dict[str, Any]:
    """The problem document of an answer that must be one of this status and kind."""
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "application/problem+json"
    document = json.loads(text)
    assert document["type"] == f"urn:scribewire:problem:{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return dict(document)


def encryption_keys(folder: Path) -> Path:
    """The file of the keys for encrypted columns, made when it is not there."""
    path = folder / "encryption.keys"
    if not path.exists():
        generate(path)
    return path


async def prepare(kafka: str, dsn: str) -> None:
    """Create the topics and the tables."""
    await topics.apply(kafka)
    await migrate(SecretStr(dsn))

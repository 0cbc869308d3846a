"""tus as its real clients speak it, over a network that cuts and with a gateway that is killed.

By default small, for every run; ``SCRIBEWIRE_FAULTS=full`` sends 200 MB.
"""

import asyncio
import hashlib
import io
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import aiotus
import pytest
from tusclient import client as tuspy

from common.bus.follow import read_to_end
from common.events import UploadReceived
from scribewire_local.ports import HOST, free_port
from support.gateway import KEY, prepare
from support.gateway_process import kill, start_gateway
from support.platform import fresh_database
from support.promises import FULL, SEED
from support.tus import RESUMABLE, UPLOADS, Cutter, Mark

SIZE = (200 if FULL else 20) * 1_000_000
CUTS = 10
KILLS = 2
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


class Gateway:
    """A gateway on one port, which is killed and comes again."""

    def __init__(self, kafka: str, dsn: str, folder: Path) -> None:
        self.port = free_port()
        self._place = (kafka, dsn, folder, self.port)
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self._process, _ = await start_gateway(*self._place, MAX_FILE_SIZE_MB="500")

    async def kill(self) -> None:
        assert self._process is not None
        await kill(self._process)
        self.kills += 1

    async def stop(self) -> None:
        if self._process is not None:
            await kill(self._process)


@pytest.fixture
async def gateway(kafka_bootstrap: str, postgres_server_dsn: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    gateway = Gateway(kafka_bootstrap, dsn, tmp_path)
    await gateway.start()
    yield gateway
    await gateway.stop()


def by_tuspy(url: str, data: bytes) -> str:
    """The whole file in one PATCH, as tuspy does unless told otherwise."""
    uploader = tuspy.TusClient(url, headers=AUTHORIZED).uploader(
        file_stream=io.BytesIO(data),
        metadata={"filename": "tuspy.wav", "options": json.dumps({"priority": "bulk"})},
        retries=100,
        retry_delay=0.1,
    )
    uploader.upload()
    assert uploader.offset == len(data)
    return str(uploader.url)


async def by_aiotus(url: str, data: bytes) -> str:
    """A PATCH for every 4 MiB, as aiotus does."""
    location = await aiotus.upload(
        url,
        io.BytesIO(data),
        {"filename": b"aiotus.wav", "options": b'{"priority": "bulk"}'},
        config=aiotus.RetryConfiguration(retry_attempts=100, max_retry_period_seconds=0.1),
        headers=AUTHORIZED,
    )
    return str(location)


async def test_real_clients_over_a_bad_network_and_a_gateway_that_dies(
    gateway: Gateway, kafka_bootstrap: str, tmp_path: Path
) -> None:
    both = asyncio.Barrier(2)

    async def die() -> None:
        # Both clients are in the middle of their bytes when it dies under them.
        if await both.wait() == 0:
            await gateway.kill()
            await gateway.start()
        await both.wait()

    every = SIZE // (CUTS + KILLS + 1)
    marks: list[Mark] = [(every * (n + 1), die if n in {3, 8} else None) for n in range(CUTS + KILLS)]
    cutters = [Cutter(gateway.port, marks) for _ in range(2)]
    chance = random.Random(SEED)
    sent = [chance.randbytes(SIZE) for _ in cutters]
    try:
        for cutter in cutters:
            await cutter.open()
        urls = [f"http://{HOST}:{cutter.port}{UPLOADS}" for cutter in cutters]
        async with asyncio.timeout(120 if FULL else 60):
            locations = await asyncio.gather(asyncio.to_thread(by_tuspy, urls[0], sent[0]), by_aiotus(urls[1], sent[1]))
        assert [cutter.done for cutter in cutters] == [CUTS + KILLS] * 2
        assert gateway.kills == KILLS
    finally:
        for cutter in cutters:
            await cutter.close()
    jobs = []
    async with aiohttp.ClientSession(headers=AUTHORIZED | RESUMABLE) as http:
        for location in locations:
            address = f"http://{HOST}:{gateway.port}{UPLOADS}/{location.rpartition('/')[2]}"
            async with http.head(address) as answer:
                assert answer.headers["Upload-Offset"] == str(SIZE)
                jobs.append(answer.headers["Scribewire-Job"])
    events = [item.event async for item in read_to_end(kafka_bootstrap, ["upload.received.bulk"])]
    for job, data, name in zip(jobs, sent, ("tuspy.wav", "aiotus.wav"), strict=True):
        mine = {event.model_dump_json() for event in events if event is not None and str(event.job_id) == job}
        assert len(mine) == 1, "one job, however often the last step was repeated"
        event = UploadReceived.model_validate_json(mine.pop())
        assert (event.filename, event.sha256) == (name, hashlib.sha256(data).hexdigest())
        assert (tmp_path / "blobs" / event.source.name).read_bytes() == data
    assert len([path for path in (tmp_path / "blobs").rglob("upload") if path.is_file()]) == len(sent)

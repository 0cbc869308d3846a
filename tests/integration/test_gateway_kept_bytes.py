"""Which bytes without a job's row are still wanted, and which jobs a cancelled batch may have, on a real PostgreSQL."""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common import ids, layout
from common.blobs.folder import FolderBlobs
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import JobControl, now
from common.settings import CommonSettings
from gateway.batches.accept import Acceptor
from gateway.batches.erase import Eraser
from gateway.batches.release import Releaser
from gateway.batches.release_store import ReleaseStore
from gateway.database import Database
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.sweep import sweep
from gateway.uploads.finish import Finish
from gateway.uploads.hashing import Hashes
from gateway.uploads.models import Finished, Upload
from gateway.uploads.store import UploadStore
from gateway.uploads.uploads import Uploads
from gateway.walls.gate import Room
from support.platform import fresh_database

SHA = hashlib.sha256(b"RIFF").hexdigest()
DAY = timedelta(hours=24)


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    made = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(made))
    return made


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(dsn))) as pool:
        yield pool


async def add_job(pool: asyncpg.Pool, job: UUID, owner: str, age: timedelta) -> None:
    await pool.execute(
        "INSERT INTO jobs (id, owner, lane, created_at) VALUES ($1, $2, 'bulk', now() - $3::interval)"
        " ON CONFLICT DO NOTHING",
        job,
        owner,
        age,
    )


async def add_item(
    pool: asyncpg.Pool, owner: str, *, status: str, state: str, job: UUID | None = None, source: str | None = None
) -> UUID:
    batch = uuid4()
    await pool.execute(
        "INSERT INTO batches (id, owner, status, request, keyed, created_at, touched_at)"
        " VALUES ($1, $2, $3, '', false, now(), now())",
        batch,
        owner,
        status,
    )
    await pool.execute(
        "INSERT INTO batch_items (batch_id, line, owner, state, kind, source, job_id, claimed_at)"
        " VALUES ($1, 1, $2, $3, 'upload', $4, $5, to_timestamp(0))",
        batch,
        owner,
        state,
        source or str(uuid4()),
        job,
    )
    return batch


async def test_a_claimed_item_of_a_cancelled_batch_is_told_before_it_is_given_up(pool: asyncpg.Pool) -> None:
    releases, job = ReleaseStore(Database(pool, seconds=5)), uuid4()
    batch = await add_item(pool, str(uuid4()), status="cancelling", state="claimed", job=job)
    await pool.execute("UPDATE batch_items SET kind = 'blob' WHERE batch_id = $1", batch)
    await releases.claim_again(older_than=DAY, limit=10)
    assert await releases.jobs_out(batch) == [job]
    await releases.give_up_claims(uuid4(), older_than=DAY)
    assert await releases.being_claimed(batch)
    await releases.give_up_claims(batch, older_than=DAY)
    assert not await releases.being_claimed(batch)


class Full:
    """Has room for nobody."""

    async def room(self, owner: str) -> Room:
        return Room(0, 10.0)


class Told:
    """Keeps what would be published."""

    def __init__(self) -> None:
        self.jobs: set[tuple[str, UUID]] = set()

    async def publish(self, event: JobControl, *, timeout: float) -> None:
        self.jobs.add((event.action, event.job_id))


@pytest.mark.parametrize(("status", "action"), [("cancelling", "cancel"), ("deleting", "delete")])
async def test_a_claimed_upload_that_its_batch_has_not_taken_is_neither_cancelled_nor_erased_with_it(
    pool: asyncpg.Pool, tmp_path: Path, status: str, action: str
) -> None:
    owner, kept, told = str(uuid4()), UploadStore(FolderBlobs(tmp_path)), Told()
    releases = ReleaseStore(Database(pool, seconds=5))
    uploads = Uploads(FolderBlobs(tmp_path), kept, None, lifetime=DAY)  # type: ignore[arg-type]
    acceptor = Acceptor(acceptance=None, addresses=None, uploads=uploads, crypt=None)  # type: ignore[arg-type]
    releaser = Releaser(
        store=releases,
        acceptor=acceptor,
        eraser=Eraser(store=releases, producer=told, seconds=5),  # type: ignore[arg-type]
        gate=Full(),  # type: ignore[arg-type]
        producer=told,  # type: ignore[arg-type]
        settings=GatewaySettings(operator_key_file="/x", encryption_keys_file="/x"),  # type: ignore[arg-type]
    )
    stranger, own = (Upload(id=uuid4(), owner=owner, length=4, hold=True, created_at=now()) for _ in range(2))
    for one in (stranger, own):
        await kept.create(one)
        batch = await add_item(pool, owner, status=status, state="claimed", job=one.job_id, source=str(one.id))
        await kept.take(one, "somebody else" if one is stranger else f"{batch}/1")
    for _ in range(3):
        await releaser.look(whole=False)
    assert (action, own.job_id) in told.jobs
    assert stranger.job_id not in {job for _, job in told.jobs}
    assert not await pool.fetchval("SELECT true FROM batch_items WHERE job_id = $1", stranger.job_id)


async def test_bytes_of_jobs_still_to_be_released_are_no_orphans(pool: asyncpg.Pool, tmp_path: Path) -> None:
    owner, blobs = str(uuid4()), FolderBlobs(tmp_path)
    orphan, held, counted, claimed, upload = (uuid4() for _ in range(5))
    waiting = ids.upload_job(owner, upload)
    await pool.execute(
        "INSERT INTO jobs (id, owner, lane, created_at) VALUES ($1, $2, 'bulk', to_timestamp(0))", uuid4(), owner
    )
    await pool.execute(
        "INSERT INTO held_jobs (job_id, owner, event, held_at) VALUES ($1, $2, $3, now())", held, owner, {}
    )
    await pool.execute("INSERT INTO counted_jobs (job_id, owner, at) VALUES ($1, $2, now())", counted, owner)
    await add_item(pool, owner, status="running", state="claimed", job=claimed)
    await add_item(pool, owner, status="running", state="waiting", source=str(upload))
    for job in (orphan, held, counted, claimed, waiting):
        await blobs.write(f"{layout.originals(owner, job)}{SHA}", b"RIFF")
    for path in tmp_path.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert await sweep(blobs, Store(Database(pool, seconds=5)), older_than=DAY) == 1
    left = {UUID(blob.name.split("/")[3]) async for blob in blobs.list(layout.originals_of(owner))}
    assert left == {held, counted, claimed, waiting}


async def test_a_row_that_comes_while_the_sweep_looks_keeps_its_bytes(
    pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, blobs, late = str(uuid4()), FolderBlobs(tmp_path), uuid4()
    store = Store(Database(pool, seconds=5))
    await pool.execute(
        "INSERT INTO jobs (id, owner, lane, created_at) VALUES ($1, $2, 'bulk', to_timestamp(0))", uuid4(), owner
    )
    await blobs.write(f"{layout.originals(owner, late)}{SHA}", b"RIFF")
    for path in tmp_path.rglob("*"):
        os.utime(path, (1e9, 1e9))
    known = store.known
    answers = []

    async def and_then_it_comes(jobs: set[UUID]) -> set[UUID]:
        answers.append(await known(jobs))
        await pool.execute(
            "INSERT INTO jobs (id, owner, lane, created_at) VALUES ($1, $2, 'bulk', now()) ON CONFLICT DO NOTHING",
            late,
            owner,
        )
        return answers[-1]

    monkeypatch.setattr(store, "known", and_then_it_comes)
    assert await sweep(blobs, store, older_than=DAY) == 0
    assert answers == [set(), {late}]


async def test_a_held_upload_stays_while_a_batch_waits_for_it(pool: asyncpg.Pool, tmp_path: Path) -> None:
    owner, blobs, store = str(uuid4()), FolderBlobs(tmp_path), Store(Database(pool, seconds=5))
    kept = UploadStore(blobs)
    finish = Finish(blobs, kept, Hashes(), None)  # type: ignore[arg-type]
    uploads = Uploads(blobs, kept, finish, lifetime=timedelta(hours=1))
    long_ago = now() - DAY
    made = [Upload(id=uuid4(), owner=owner, length=4, hold=True, created_at=long_ago) for _ in range(2)]
    for one in made:
        await kept.create(one)
        await blobs.write(one.bytes_name, b"RIFF")
        await kept.finish(one, Finished(size=4, sha256=SHA, finished_at=long_ago))
    for path in tmp_path.rglob("*"):
        os.utime(path, (1e9, 1e9))
    wanted, other = made
    await add_item(pool, owner, status="running", state="waiting", source=str(wanted.id))
    assert await uploads.sweep(store.uploads_wanted) == 1
    assert await blobs.stat(other.bytes_name) is None
    taken = await uploads.take(owner, wanted.id, by="batch/1")
    assert await blobs.stat(taken.source.name) is not None

"""What an export has beside jobs: what others did with the account, and what was begun and is no job yet."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.blobs.folder import FolderBlobs
from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import now
from common.settings import CommonSettings
from gateway.database import Database
from gateway.identity.account_store import AccountStore, NewAccount
from gateway.identity.ended import EndedIdentities
from gateway.privacy import store as privacy_store
from gateway.privacy.export import Export
from gateway.privacy.store import PrivacyStore
from gateway.store import Store
from gateway.uploads.models import Finished, Upload
from gateway.uploads.store import UploadStore
from support.platform import fresh_database

CRYPT = Crypt([Fernet.generate_key().decode()])
OTHER_KEY = Fernet.generate_key().decode()
ADMIN = str(uuid4())


async def test_everything_is_in_the_export_that_was_kept_of_somebody(
    postgres_server_dsn: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(privacy_store, "PAGE", 2)
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    blobs = FolderBlobs(tmp_path)
    async with open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)) as pool:
        database = Database(pool, seconds=10)
        accounts = AccountStore(database, CRYPT)
        ann, ben = [(await accounts.add(NewAccount(email=None, password_hash=None, consents={}))).id for _ in "12"]
        for owner in (ann, ben):
            await _rows(pool, owner)
            await _uploads(blobs, str(owner))
        privacy = PrivacyStore(database, EndedIdentities(database))
        export = Export(store=Store(database), privacy=privacy, blobs=blobs, crypt=CRYPT)
        inside = await _inside(export, str(ann), recordings=True)
        bare = await _inside(export, str(ann), recordings=False)
        await accounts.change(ann, first_name="Ann")
        keyless = Export(store=Store(database), privacy=privacy, blobs=blobs, crypt=Crypt([OTHER_KEY]))
        unreadable = await _inside(keyless, str(ann), recordings=False)

    activity = _table(inside["activity.csv"])
    assert [(line["action"], line["done_by"], line["ip"], line["user_agent"]) for line in activity] == [
        ("login.succeeded", "you", "192.0.2.1", "mine/1"),
        ("login.failed", "somebody", "198.51.100.7", "theirs/1"),
        ("admin.account_changed", "us", "", ""),
        ("account.limits", "us", "", ""),
        ("password.changed", "you", "192.0.2.1", "mine/1"),
    ]
    (asked,) = json.loads(inside["password_resets.json"])
    assert asked["ip"] == f"reset-{ann}"
    assert b"token" not in inside["password_resets.json"]
    sent = _table(inside["webhook_deliveries.csv"])
    assert [line["body"] for line in sent] == [f"body {number} of {ann}" for number in range(3)]
    (item,) = _table(inside["batch_items.csv"])
    assert item["address"] == f"https://example.org/{ann}?signature=1"

    told = {upload["filename"]: upload for upload in json.loads(inside["uploads.json"])}
    assert {name: upload["received"] for name, upload in told.items()} == {"half.wav": 4, "held.wav": 5}
    assert told["half.wav"]["metadata"] == f"of {ann}"
    files = {name: content for name, content in inside.items() if name.startswith("uploads/")}
    ((name, content),) = files.items()
    assert (name.split("/")[1].split()[1], name.rpartition("/")[2], content) == ("held", "recording.wav", b"whole")
    assert not [name for name in bare if name.startswith("uploads/")]
    assert json.loads(unreadable["account.json"])["first_name"] is None
    assert [line["address"] for line in _table(unreadable["batch_items.csv"])] == [""]
    for content in inside.values():
        assert str(ben).encode() not in content


async def _rows(pool: asyncpg.Pool, owner: UUID) -> None:
    """What is kept of somebody, each with something that is theirs."""
    lines = [
        (str(owner), "login.succeeded", "192.0.2.1", "mine/1", {}),
        (None, "login.failed", "198.51.100.7", "theirs/1", {"account": str(owner), "reason": "password"}),
        (ADMIN, "admin.account_changed", "203.0.113.9", "admin/1", {"account": str(owner)}),
        ("operator", "account.limits", "203.0.113.9", "admin/1", {"account": str(owner)}),
        (str(owner), "password.changed", "192.0.2.1", "mine/1", {"account": str(owner)}),
    ]
    for line in lines:
        await pool.execute(
            "INSERT INTO audit_log (id, at, actor, action, ip, user_agent, details)"
            " VALUES (gen_random_uuid(), clock_timestamp(), $1, $2, $3, $4, $5)",
            *line,
        )
    await pool.execute(
        "INSERT INTO resets (id, account_id, token_hash, created_at, expires_at, ip)"
        " VALUES (gen_random_uuid(), $1, $2, now(), now(), $3)",
        *(owner, owner.bytes, f"reset-{owner}"),
    )
    for number in range(3):
        await pool.execute(
            "INSERT INTO webhook_deliveries (id, job_id, owner, event_id, event_type, url, body, created_at)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), $1, gen_random_uuid(), 'job.completed',"
            " 'https://example.org/hook', $2, clock_timestamp())",
            *(str(owner), f"body {number} of {owner}"),
        )
    batch = uuid4()
    await pool.execute(
        "INSERT INTO batches (id, owner, status, request, keyed, created_at, touched_at)"
        " VALUES ($1, $2, 'finished', '', false, now(), now())",
        *(batch, str(owner)),
    )
    await pool.execute(
        "INSERT INTO batch_items (batch_id, line, owner, state, kind, address, shown)"
        " VALUES ($1, 1, $2, 'failed', 'url', $3, 'https://example.org/')",
        *(batch, str(owner), CRYPT.encrypt(f"https://example.org/{owner}?signature=1")),
    )


async def _uploads(blobs: FolderBlobs, owner: str) -> None:
    """Half a file, a whole one that is held, and one that a batch took."""
    store = UploadStore(blobs)
    half, held, taken = [
        Upload(id=uuid4(), owner=owner, length=5, hold=True, filename=name, metadata=f"of {owner}", created_at=now())
        for name in ("half.wav", "held.wav", "taken.wav")
    ]
    for upload in (half, held, taken):
        await store.create(upload)
    await blobs.gather(half.bytes_name, 0, _one(b"hal!"))
    for upload in (held, taken):
        await blobs.write(upload.bytes_name, b"whole")
        await store.finish(upload, Finished(size=5, sha256="0" * 64, finished_at=now()))
    await store.take(taken, "batch 1")


async def _one(piece: bytes) -> Any:
    yield piece


async def _inside(export: Export, owner: str, *, recordings: bool) -> dict[str, bytes]:
    whole = b"".join([chunk async for chunk in export.content(owner, at=now(), recordings=recordings)])
    file = zipfile.ZipFile(io.BytesIO(whole))
    assert file.testzip() is None
    return {name: file.read(name) for name in file.namelist()}


def _table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))

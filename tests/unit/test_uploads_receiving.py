"""A request with a checksum is held until its last byte, so it is bounded, and no room is no error of ours."""

import errno
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from common.blobs.folder import FolderBlobs
from common.events import now
from gateway.problems import Problem
from gateway.uploads import receiving, spool
from gateway.uploads.hashing import Hashes
from gateway.uploads.headers import Checksum
from gateway.uploads.models import Upload
from gateway.uploads.receiving import Receiving

BODY = b"x" * 100
RIGHT = Checksum("sha1", hashlib.sha1(BODY, usedforsecurity=False).digest())


async def receive(
    folder: Path, length: int | None = None, checksum: Checksum | None = RIGHT, *, room: int = 1000
) -> int:
    request: Any = SimpleNamespace(content_length=length, transport=None)
    upload = Upload(id=uuid4(), owner="ann", length=room, created_at=now())
    receives = Receiving(FolderBlobs(folder), Hashes(), stall=1)
    return await receives.receive(request, upload, 0, room=room, checksum=checksum)


@pytest.fixture(autouse=True)
def body(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces(*_args: object, **_more: object) -> AsyncIterator[bytes]:
        yield BODY[:60]
        yield BODY[60:]

    monkeypatch.setattr(receiving, "pieces", pieces)


async def test_as_much_as_the_upload_may_have_may_come_with_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mib = bytes(1024 * 1024)

    async def much(*_args: object, **_more: object) -> AsyncIterator[bytes]:
        for _ in range(65):
            yield mib

    monkeypatch.setattr(receiving, "pieces", much)
    whole = Checksum("sha1", hashlib.sha1(mib * 65, usedforsecurity=False).digest())
    assert await receive(tmp_path, 65 * len(mib), whole, room=65 * len(mib)) == 65 * len(mib)
    with pytest.raises(Problem) as refused:
        await receive(tmp_path, 66 * len(mib), whole, room=65 * len(mib))
    assert refused.value.kind.status == 413


@pytest.mark.parametrize("length", [100, None])
async def test_the_disk_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int | None) -> None:
    """It is refused before it comes where its length is known, and while it comes where it is not."""
    looked = 0

    def usage(_path: str) -> SimpleNamespace:
        nonlocal looked
        looked += 1
        return SimpleNamespace(total=2000, free=199 if length else 2000 if looked == 1 else 99)

    monkeypatch.setattr(spool, "_LOOK_EVERY", 60)
    monkeypatch.setattr("gateway.uploads.spool.shutil.disk_usage", usage)
    with pytest.raises(Problem, match="room") as refused:
        await receive(tmp_path, length)
    assert refused.value.kind.status == 503
    assert looked == (1 if length else 2)
    assert await receive(tmp_path, length, None) == 100, "without a checksum nothing is held"


async def test_a_disk_that_is_full_all_the_same_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "full", "/secret/path")

    monkeypatch.setattr("gateway.uploads.spool.tempfile.TemporaryFile", full)
    with pytest.raises(Problem) as refused:
        await receive(tmp_path)
    assert refused.value.kind.status == 503
    assert "secret" not in str(refused.value.document)

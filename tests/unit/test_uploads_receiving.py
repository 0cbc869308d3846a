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
from gateway.uploads import receiving
from gateway.uploads.hashing import Hashes
from gateway.uploads.headers import Checksum
from gateway.uploads.models import Upload
from gateway.uploads.receiving import Receiving

BODY = b"x" * 100
RIGHT = Checksum("sha1", hashlib.sha1(BODY, usedforsecurity=False).digest())


async def receive(folder: Path, length: int | None = None, checksum: Checksum | None = RIGHT) -> int:
    request: Any = SimpleNamespace(content_length=length, transport=None)
    upload = Upload(id=uuid4(), owner="ann", length=1000, created_at=now())
    receives = Receiving(FolderBlobs(folder), Hashes(), stall=1)
    return await receives.receive(request, upload, 0, room=1000, checksum=checksum)


@pytest.fixture(autouse=True)
def body(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pieces(*_args: object, **_more: object) -> AsyncIterator[bytes]:
        yield BODY[:60]
        yield BODY[60:]

    monkeypatch.setattr(receiving, "pieces", pieces)


@pytest.mark.parametrize("length", [100, None])
async def test_what_is_too_much_to_be_held_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    assert await receive(tmp_path, length) == 100
    monkeypatch.setattr(receiving, "MOST_CHECKED", 99)
    with pytest.raises(Problem, match="Upload-Checksum") as refused:
        await receive(tmp_path, length)
    assert refused.value.kind.status == 413
    assert refused.value.document["limit_bytes"] == 99
    assert await receive(tmp_path, length, None) == 100, "without a checksum nothing is held"


async def test_no_room_to_hold_it_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "full", "/secret/path")

    monkeypatch.setattr(receiving, "TemporaryFile", full)
    with pytest.raises(Problem) as refused:
        await receive(tmp_path)
    assert refused.value.kind.status == 503
    assert "secret" not in str(refused.value.document)

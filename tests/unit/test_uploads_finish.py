"""Two gateways that end one upload at the same time answer the same."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from common.blobs import OtherSize
from common.blobs.folder import FolderBlobs
from common.events import now
from gateway.problems import INVALID, Problem
from gateway.uploads.finish import Finish
from gateway.uploads.hashing import Hashes, hash_of
from gateway.uploads.models import Finished, Upload
from gateway.uploads.store import UploadStore


class Race:
    """An upload, and another gateway that ends it, wholly or up to its blob, when this one is just about to."""

    def __init__(self, folder: Path, *, wholly: bool) -> None:
        self.blobs = FolderBlobs(folder)
        self.store = UploadStore(self.blobs)
        self.finish = Finish(self.blobs, self.store, Hashes(), None)  # type: ignore[arg-type]
        self.wholly = wholly

    async def other_ends(self, upload: Upload) -> Finished:
        await self.blobs.write(upload.bytes_name, b"abc")
        sha256 = await hash_of(self.blobs.read(upload.bytes_name))
        finished = Finished(size=3, sha256=sha256, finished_at=now())
        return await self.store.finish(upload, finished) if self.wholly else finished


@pytest.mark.parametrize("wholly", [True, False])
async def test_sealed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wholly: bool) -> None:
    race = Race(tmp_path, wholly=wholly)
    upload = Upload(id=uuid4(), owner="ann", length=3, hold=True, created_at=now())

    async def too_late(_name: str, _size: int) -> None:
        await race.other_ends(upload)
        raise OtherSize(0)

    monkeypatch.setattr(race.blobs, "seal", too_late)
    finished = await race.finish(upload, 3)
    assert finished.sha256 == (await race.other_ends(upload)).sha256


@pytest.mark.parametrize("wholly", [True, False])
async def test_joined_by_another_that_removed_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wholly: bool
) -> None:
    race = Race(tmp_path, wholly=wholly)
    upload = Upload(id=uuid4(), owner="ann", kind="final", parts=(uuid4(),), length=3, hold=True, created_at=now())

    async def gone(_owner: str, _ids: tuple[UUID, ...]) -> list[Upload]:
        await race.other_ends(upload)
        raise Problem(INVALID, "gone")

    monkeypatch.setattr(race.finish, "parts", gone)
    finished = await race.finish(upload, 3)
    assert finished.sha256 == (await race.other_ends(upload)).sha256


async def test_parts_that_are_gone_without_another_are_a_problem(tmp_path: Path) -> None:
    race = Race(tmp_path, wholly=True)
    upload = Upload(id=uuid4(), owner="ann", kind="final", parts=(uuid4(),), length=3, hold=True, created_at=now())
    with pytest.raises(Problem) as refused:
        await race.finish(upload, 3)
    assert refused.value.kind.status == 422

"""When bytes are fetched before a job's turn, and what becomes of a fetch that fails."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from common import layout
from common.address import Fetched
from common.blobs import BlobNotFound, BlobsUnavailable
from common.errors import Permanent, Transient
from common.events import BlobRef, UploadReceived
from support.stories import Story
from support.transcoding import Told
from transcoder.__main__ import build
from transcoder.bring import Bring
from transcoder.ports import Cancelled, Remote

STORY = Story()


@dataclass
class Address(Remote):
    """Gives bytes, or the failure it has."""

    failure: Exception | None = None
    found: Fetched | None = None
    asked: int = 0

    async def fetched(self, event: UploadReceived) -> Fetched | None:
        """What was fetched, unless the store is away."""
        if isinstance(self.failure, OSError):
            raise self.failure
        return self.found

    async def fetch(self, event: UploadReceived, cancelled: Callable[[], bool]) -> Fetched:
        """Fetch."""
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.found = Fetched(sha256="f" * 64, size=3)
        return self.found


async def test_an_address_is_fetched_once_before_and_an_upload_never() -> None:
    remote, told = Address(), Told()
    bring = Bring(remote)
    event = STORY.remote_upload()
    assert not await bring.needed(STORY.upload())
    assert await bring.needed(event)
    await bring(event, told)
    await bring(event, told)
    assert not await bring.needed(event)
    assert (remote.asked, [word.detail for word in told.progress]) == (1, ["Fetching the file"])


async def test_a_blob_of_our_own_store_waits_behind_no_strangers_server() -> None:
    dropped = BlobRef(name=layout.dropped(STORY.owner, STORY.job, "a" * 64))
    assert not await Bring(Address()).needed(STORY.remote_upload(source=dropped, address=None))


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (Transient("silent", code="source_timeout"), Transient, "source_timeout"),
        (Permanent("source_not_found", "nothing"), Permanent, "source_not_found"),
        (BlobNotFound("gone"), Permanent, "source_missing"),
        (BlobsUnavailable("away"), Transient, "storage_unavailable"),
        (OSError("away"), Transient, "storage_unavailable"),
    ],
)
async def test_a_fetch_fails_as_the_handler_would(failure: Exception, kind: type[Exception], code: str) -> None:
    with pytest.raises(kind) as caught:
        await Bring(Address(failure))(STORY.remote_upload(), Told())
    assert getattr(caught.value, "code", None) == code


async def test_the_store_is_away_before_it_is_known_what_is_needed() -> None:
    with pytest.raises(Transient):
        await Bring(Address(OSError("away"))).needed(STORY.remote_upload())


@pytest.mark.parametrize("failure", [Cancelled(), BlobNotFound("erased")])
async def test_a_job_that_is_cancelled_meanwhile_is_no_failure(failure: Exception) -> None:
    asked = iter([False, True])
    remote = Address(failure)
    await Bring(remote)(STORY.remote_upload(), Told(cancel_when=lambda told: next(asked)))
    assert (remote.asked, remote.found) == (1, None)


async def test_the_service_fetches_beside_its_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_BLOBS", (tmp_path / "blobs").as_uri())
    monkeypatch.setenv("SCRIBEWIRE_CONCURRENCY", "2")
    monkeypatch.setenv("SCRIBEWIRE_FETCHES", "5")
    monkeypatch.setenv("SCRIBEWIRE_FETCHES_PER_OWNER", "1")
    async with build() as service:
        [stage] = service.stages
        before = getattr(stage, "before", None)
        assert before is not None
        assert (getattr(stage, "concurrency", 0), before.concurrency, before.of_one_owner) == (2, 5, 1)
        assert await before.needed(STORY.remote_upload())

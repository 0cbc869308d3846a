"""From an address to an original: stored once, whole or not at all, settled by the first, gone with its job."""

import hashlib
from collections.abc import AsyncGenerator, Callable

import pytest
from pydantic import ValidationError

from common import layout
from common.address import Address
from common.blobs import BlobNotFound, Blobs, read_all
from common.drop import Drop
from common.errors import Permanent, Transient
from common.events import BlobRef, UploadReceived
from common.testing.blobs import MemoryBlobs
from support.remote_jobs import remote_job
from transcoder.fetch.direct import AtSite, Direct
from transcoder.fetch.pages import NotAPage, Pages
from transcoder.fetch.source import RemoteSource
from transcoder.ports import Cancelled

LINK, PAGE = "https://media.example/talk.wav?sig=s3cret", "https://video.example/watch?v=1"
BYTES = b"RIFFsound"


class Internet(Direct, Pages):
    """Both ways at once: what each address gives, and which way was asked for what."""

    def __init__(self, *script: bytes | Exception) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, str]] = []

    def has(self, url: str) -> bool:
        return "video.example" in url

    async def chunks(  # type: ignore[override]
        self, url: str, *, is_site: object = None, cancelled: Callable[[], bool] | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.asked.append(("page" if cancelled else "link", url))
        while self.script:
            part = self.script.pop(0)
            if isinstance(part, Exception):
                raise part
            yield part


async def names(blobs: Blobs) -> list[str]:
    return sorted([info.name async for info in blobs.list("users/")])


def source(blobs: Blobs, internet: Internet) -> RemoteSource:
    return RemoteSource(blobs=blobs, direct=internet, pages=internet)


async def test_what_was_fetched_is_stored_under_its_hash_and_found_again() -> None:
    blobs = MemoryBlobs()
    event = await remote_job(blobs, LINK)
    remote = source(blobs, Internet(BYTES[:4], BYTES[4:]))
    assert await remote.fetched(event) is None
    fetched = await remote.fetch(event, lambda: False)
    assert (fetched.sha256, fetched.size) == (hashlib.sha256(BYTES).hexdigest(), len(BYTES))
    assert await read_all(blobs, layout.original(event.owner, event.job_id, fetched.sha256)) == BYTES
    assert await remote.fetched(event) == fetched


@pytest.mark.parametrize("error", [Transient("cut"), Permanent("too_large", "x"), Cancelled()])
async def test_what_breaks_off_leaves_nothing(error: Exception) -> None:
    blobs = MemoryBlobs()
    event = await remote_job(blobs, LINK)
    before = await names(blobs)
    with pytest.raises(type(error)):
        await source(blobs, Internet(BYTES, error)).fetch(event, lambda: False)
    assert await names(blobs) == before


async def test_the_first_of_two_settles_which_bytes_the_job_has() -> None:
    """A file that changed between two who fetch it at once: nobody is told of both."""
    blobs = MemoryBlobs()
    event = await remote_job(blobs, LINK)
    first = await source(blobs, Internet(b"one")).fetch(event, lambda: False)
    second = await source(blobs, Internet(b"other")).fetch(event, lambda: False)
    assert second == first
    assert len(await names(blobs)) == 3  # the address, the bytes, and the word which bytes


@pytest.mark.parametrize("at", [0, 1])
async def test_a_job_that_is_cancelled_keeps_nothing_that_was_fetched(at: int) -> None:
    blobs = MemoryBlobs()
    event = await remote_job(blobs, LINK)
    before, asked = await names(blobs), iter(range(10))
    with pytest.raises(Cancelled):
        await source(blobs, Internet(BYTES)).fetch(event, lambda: next(asked) >= at)
    assert await names(blobs) == before


async def test_an_address_that_was_erased_is_not_found() -> None:
    blobs = MemoryBlobs()
    event = await remote_job(blobs, LINK)
    await blobs.remove(layout.originals(event.owner, event.job_id))
    with pytest.raises(BlobNotFound):
        await source(blobs, Internet(BYTES)).fetch(event, lambda: False)


@pytest.mark.parametrize(
    ("url", "script", "ways"),
    [
        (LINK, [BYTES], [("link", LINK)]),
        (PAGE, [BYTES], [("page", PAGE)]),
        (LINK, [AtSite(PAGE), BYTES], [("link", LINK), ("page", PAGE)]),
        (PAGE, [NotAPage(), BYTES], [("page", PAGE), ("link", PAGE)]),
        (LINK, [AtSite(PAGE), NotAPage(), BYTES], [("link", LINK), ("page", PAGE), ("link", PAGE)]),
    ],
)
async def test_pages_go_one_way_and_links_another(
    url: str, script: list[bytes | Exception], ways: list[tuple[str, str]]
) -> None:
    blobs, internet = MemoryBlobs(), Internet(*script)
    event = await remote_job(blobs, url)
    await source(blobs, internet).fetch(event, lambda: False)
    assert internet.asked == ways


def test_an_address_shows_no_secret() -> None:
    address = Address(url="https://user:pass@media.example:8443/a%20b/talk.mp3?sig=s3cret#frag")
    assert address.shown == "https://media.example:8443/a%20b/talk.mp3"
    assert address.filename == "talk.mp3"
    assert "s3cret" not in repr(address)
    with pytest.raises(ValidationError) as caught:
        Address.model_validate({"url": ["s3cret"]})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/%C3%9Cber%20uns.mp3?x", "Über uns.mp3"),
        ("https://h/a/", None),
        ("https://h", None),
        ("https://h/%2e%2e%2fetc%2fpasswd", "../etc/passwd"),
        ("https://h/%ff.wav", "\N{REPLACEMENT CHARACTER}.wav"),
    ],
)
def test_a_file_is_named_after_the_end_of_its_path(url: str, name: str | None) -> None:
    assert Address(url=url).filename == name


class TestDropped:
    async def job(self, blobs: Blobs, blob: str) -> UploadReceived:
        event = await remote_job(blobs, LINK)
        name = layout.dropped(event.owner, event.job_id, event.sha256)
        await blobs.write(name, Drop(blob=blob).model_dump_json().encode())
        return event.model_copy(update={"source": BlobRef(name=name)})

    async def test_a_blob_is_copied_where_an_upload_would_be(self) -> None:
        blobs = MemoryBlobs()
        await blobs.write("users/ann/incoming/a.mp3", BYTES)
        event = await self.job(blobs, "users/ann/incoming/a.mp3")
        internet = Internet()
        fetched = await source(blobs, internet).fetch(event, lambda: False)
        assert await read_all(blobs, layout.original(event.owner, event.job_id, fetched.sha256)) == BYTES
        assert fetched.sha256 == hashlib.sha256(BYTES).hexdigest()
        assert internet.asked == []

    @pytest.mark.parametrize("name", ["a.mp3", "a\\b.mp3", ".a.mp3"])
    async def test_a_blob_that_is_not_there_or_cannot_be_fails_for_good(self, name: str) -> None:
        blobs = MemoryBlobs()
        event = await self.job(blobs, f"users/ann/incoming/{name}")
        with pytest.raises(Permanent) as caught:
            await source(blobs, Internet()).fetch(event, lambda: False)
        assert caught.value.code == "source_not_found"

    async def test_a_blob_that_is_too_large_is_not_copied(self) -> None:
        blobs = MemoryBlobs()
        await blobs.write("shared/a.mp3", BYTES)
        event = await self.job(blobs, "shared/a.mp3")
        remote = RemoteSource(blobs=blobs, direct=Internet(), pages=Internet(), largest_blob=len(BYTES) - 1)
        with pytest.raises(Permanent) as caught:
            await remote.fetch(event, lambda: False)
        assert caught.value.code == "too_large"

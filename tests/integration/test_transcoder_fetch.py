"""Jobs with an address, through the whole handler: the same segments as of an upload, and not a word of the address."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from aiohttp import web
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from common import layout
from common.blobs import read_all
from common.blobs.folder import FolderBlobs
from common.errors import Permanent, StageError, Transient
from common.events import BlobRef
from common.logs import configure
from support import media
from support.inner import listening_canary
from support.media_site import MediaSite, media_site, outside_is_public
from support.remote_jobs import remote_job
from support.transcoding import Room, Told
from transcoder.fetch.open import open_remote
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings

MONOLOGUE = (media.SAMPLES / "monologue.wav").read_bytes()
TOKEN = "sig=s3cret%2Btoken"


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[FfmpegDecoder]:
    decoder = await FfmpegDecoder.detect(TranscoderSettings())
    yield decoder
    decoder.close()


@asynccontextmanager
async def opened_room(folder: Path, decoder: FfmpegDecoder, **settings: object) -> AsyncIterator[Room]:
    blobs = FolderBlobs(folder / "blobs")
    async with open_remote(TranscoderSettings.model_validate({"fetch_stall_seconds": 2} | settings), blobs) as remote:
        yield Room(blobs, decoder, remote)


@pytest.fixture
async def room(tmp_path: Path, decoder: FfmpegDecoder) -> AsyncIterator[Room]:
    (tmp_path / "blobs").mkdir(mode=0o700)
    async with opened_room(tmp_path, decoder) as room:
        yield room


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MediaSite]:
    outside_is_public(monkeypatch)
    async with media_site(MONOLOGUE) as site:
        yield site


async def stored(room: Room) -> list[str]:
    return sorted([info.name async for info in room.blobs.list("users/")])


async def test_an_address_gives_the_segments_that_an_upload_gives(room: Room, site: MediaSite) -> None:
    uploaded = await room.transcode(await room.upload(MONOLOGUE, max_seconds=5))
    told = Told()
    event = await remote_job(room.blobs, f"{site.url}/talk.wav?{TOKEN}", max_seconds=5)
    fetched = await room.transcode(event, told)
    assert [await room.samples(one) for one in fetched] == [await room.samples(one) for one in uploaded]

    assert told.progress[0].detail == "Fetching the file"
    assert told.progress[0].source is None
    [original] = {(word.source, word.sha256) for word in told.progress[1:]}
    source, sha256 = original
    assert sha256 is not None
    assert source == BlobRef(name=layout.original(event.owner, event.job_id, sha256), size=len(MONOLOGUE))
    assert await read_all(room.blobs, source.name) == MONOLOGUE
    assert told.progress[-1].duration == pytest.approx(fetched[-1].end)
    for word in [*told.progress, *fetched]:
        assert "s3cret" not in word.model_dump_json()


async def test_what_was_fetched_is_not_fetched_again(room: Room, site: MediaSite) -> None:
    event = await remote_job(room.blobs, f"{site.url}/talk.wav", max_seconds=5)
    first = await room.transcode(event)
    told = Told()
    again = await room.transcode(event, told)
    assert [one.id for one in again] == [one.id for one in first]
    await room.blobs.remove(layout.manifest(event.owner, event.job_id))
    assert [one.id for one in await room.transcode(event)] == [one.id for one in first]
    assert site.asked == {"talk.wav": 1}
    assert told.progress[-1].sha256 is not None, "told with every word, for any may be lost"


async def test_a_cut_connection_stores_nothing_and_the_next_delivery_does(room: Room, site: MediaSite) -> None:
    event = await remote_job(room.blobs, f"{site.url}/talk.wav?{TOKEN}", max_seconds=5)
    before = await stored(room)
    site.failures = [web.Response(status=503, headers={"Retry-After": "9"})]
    with pytest.raises(Transient) as caught:
        await room.transcode(event)
    assert caught.value.retry_after == 9
    cut = await remote_job(room.blobs, f"{site.url}/cut?{TOKEN}")
    with pytest.raises(Transient):
        await room.transcode(cut)
    assert await stored(room) == sorted([*before, cut.source.name])
    assert await room.transcode(event)


@pytest.mark.parametrize(
    "path", ["page", "404", "403", "503", "gzip", "endless", "silent", "to?where=file:///etc/passwd"]
)
async def test_no_failure_tells_the_address(
    room: Room, site: MediaSite, path: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, decoder: FfmpegDecoder
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("transcoder", "DEBUG")
    try:
        async with opened_room(tmp_path, decoder, max_file_size_mb=1, fetch_stall_seconds=0.3) as small:
            url = f"{site.url}/{path}{'&' if '?' in path else '?'}{TOKEN}"
            told = Told()
            with pytest.raises((Permanent, Transient)) as caught:
                await small.transcode(await remote_job(small.blobs, url), told)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    error: StageError = caught.value
    chain: list[BaseException | None] = [error, error.__cause__]
    said = capsys.readouterr()
    words = [
        said.out,
        said.err,
        *(repr(one) + str(one) for one in chain),
        *(w.model_dump_json() for w in told.progress),
    ]
    assert not [word for word in words if "s3cret" in word]
    if path == "page":
        assert isinstance(error, Permanent)
        assert error.code == "not_media"


async def test_a_playlist_is_refused_by_what_it_is(room: Room, site: MediaSite) -> None:
    async with listening_canary() as canary:
        site.content = f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{canary.port}/a.ts\n#EXT-X-ENDLIST\n".encode()
        with pytest.raises(Permanent) as caught:
            await room.transcode(await remote_job(room.blobs, f"{site.url}/live.m3u8"))
        assert caught.value.code == "not_media"
        assert canary.heard == 0


async def test_a_job_that_is_cancelled_while_it_is_fetched_leaves_nothing(room: Room, site: MediaSite) -> None:
    event = await remote_job(room.blobs, f"{site.url}/endless")
    before = await stored(room)
    assert await room.transcode(event, Told(cancel_when=lambda told: told.asked > 3)) == []
    assert await stored(room) == before


async def test_an_azure_blob_with_a_token_is_an_address_like_any_other(
    azurite: str, tmp_path: Path, decoder: FfmpegDecoder
) -> None:
    (tmp_path / "blobs").mkdir(mode=0o700)
    service = BlobServiceClient.from_connection_string(azurite)
    container, name = f"c{uuid4().hex}", "talks/Monologue ü.wav"
    service.create_container(container)
    blob = service.get_blob_client(container, name)
    blob.upload_blob(MONOLOGUE)
    key = azurite.split("AccountKey=")[1].split(";", maxsplit=1)[0]

    def signed(until: timedelta) -> str:
        token = generate_blob_sas(
            service.account_name or "",
            container,
            name,
            account_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + until,
        )
        return f"{blob.url}?{token}"

    async with opened_room(tmp_path, decoder, fetch_allow_private=True) as room:
        assert await room.transcode(await remote_job(room.blobs, signed(timedelta(hours=1))))
        with pytest.raises(Permanent) as caught:
            await room.transcode(await remote_job(room.blobs, signed(timedelta(hours=-1))))
        assert caught.value.code == "source_forbidden"
    async with opened_room(tmp_path, decoder) as room:
        with pytest.raises(Permanent) as caught:
            await room.transcode(await remote_job(room.blobs, signed(timedelta(hours=1))))
        assert caught.value.code == "source_not_public"

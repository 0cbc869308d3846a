"""From an address to a stored original: looked for before it is fetched, settled once, under the name of its hash."""

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import structlog

from common import layout
from common.address import Address, Fetched
from common.blobs import BlobNotFound, Blobs, read_all
from common.drop import DROPPED
from common.events import UploadReceived
from transcoder.fetch.direct import AtSite, Direct
from transcoder.fetch.dropped import dropped
from transcoder.fetch.pages import NotAPage, Pages
from transcoder.ports import Cancelled

log = structlog.get_logger(__name__)


class RemoteSource:
    """Implements `transcoder.ports.Remote`."""

    def __init__(self, *, blobs: Blobs, direct: Direct, pages: Pages, largest_blob: int | None = None) -> None:
        self._blobs = blobs
        self._largest_blob = largest_blob
        self._direct = direct
        self._pages = pages

    async def fetched(self, event: UploadReceived) -> Fetched | None:
        """What was fetched for the job before."""
        try:
            return Fetched.model_validate_json(await read_all(self._blobs, layout.fetched(event.owner, event.job_id)))
        except BlobNotFound:
            return None

    async def fetch(self, event: UploadReceived, cancelled: Callable[[], bool]) -> Fetched:
        """Fetch the job's bytes and store them; see `transcoder.ports.Remote`."""
        stored = event.source.name
        if stored.endswith(DROPPED):
            found = dropped(self._blobs, stored, limit=self._largest_blob)
        else:
            address = Address.model_validate_json(await read_all(self._blobs, stored))
            found = self._content(address.url, cancelled)
        digest, size = hashlib.sha256(), 0

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal size
            async with aclosing(found) as content:
                async for chunk in content:
                    if cancelled():
                        raise Cancelled
                    digest.update(chunk)
                    size += len(chunk)
                    yield chunk

        await self._blobs.write(lambda: layout.original(event.owner, event.job_id, digest.hexdigest()), counted())
        return await self._settle(event, Fetched(sha256=digest.hexdigest(), size=size), cancelled)

    async def _settle(self, event: UploadReceived, mine: Fetched, cancelled: Callable[[], bool]) -> Fetched:
        name = layout.original(event.owner, event.job_id, mine.sha256)
        if cancelled():  # what is erased meanwhile must not come back
            await self._blobs.remove(name)
            raise Cancelled
        marker = layout.fetched(event.owner, event.job_id)
        await self._blobs.write(marker, mine.model_dump_json().encode())
        settled = Fetched.model_validate_json(await read_all(self._blobs, marker))
        if settled.sha256 != mine.sha256:
            await self._blobs.remove(name)  # another was first, and got other bytes
        log.info("fetched", job_id=str(event.job_id), size=settled.size)
        return settled

    async def _content(self, url: str, cancelled: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        if not self._pages.has(url):
            try:
                async with aclosing(self._direct.chunks(url, is_site=self._pages.has)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except AtSite as found:
                url = found.url
            else:
                return
        try:
            async with aclosing(self._pages.chunks(url, cancelled=cancelled)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except NotAPage:
            async with aclosing(self._direct.chunks(url, is_site=lambda _: False)) as chunks:
                async for chunk in chunks:
                    yield chunk

"""Joins what fetches: the session, yt-dlp behind its proxy, and the store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from common.blobs import Blobs
from common.guard import open_guarded
from transcoder.fetch.direct import Direct, Limits, open_session
from transcoder.fetch.pages import Pages
from transcoder.fetch.source import RemoteSource
from transcoder.settings import TranscoderSettings


@asynccontextmanager
async def open_remote(settings: TranscoderSettings, blobs: Blobs) -> AsyncIterator[RemoteSource]:
    """What fetches, as the settings say."""
    limits = Limits(settings.max_file_size, settings.fetch_seconds, settings.fetch_stall_seconds)
    private = settings.fetch_allow_private
    async with open_session(allow_private=private) as session:
        yield RemoteSource(
            blobs=blobs,
            largest_blob=settings.max_file_size,
            direct=Direct(session, limits, allow_private=private),
            pages=Pages(settings.video_sites, limits, connect=partial(open_guarded, allow_private=private)),
        )

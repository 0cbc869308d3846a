"""Joins the transcoder: settings, blobs, leases, decoder and the handler, on the bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from common.blobs.open import open_blobs
from common.bus import Before, EachStage
from common.events import UploadReceived
from common.leases.open import open_leases
from common.service import Service, serve
from transcoder.bring import Bring
from transcoder.fetch.open import open_remote
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.handler import Transcode
from transcoder.preprocess import Preprocess
from transcoder.settings import TranscoderSettings


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the transcoder needs; a SIGTERM lets running files finish within `drain_seconds`."""
    settings = TranscoderSettings()
    preprocess = Preprocess(seconds=settings.plugin_seconds, settings=settings.plugin_settings)
    with closing(await FfmpegDecoder.detect(settings)) as decoder:
        async with (
            open_blobs(settings) as blobs,
            open_leases(settings) as leases,
            open_remote(settings, blobs) as remote,
        ):
            bring = Bring(remote)
            stage = EachStage(
                event=UploadReceived,
                handler=Transcode(
                    blobs=blobs,
                    decoder=decoder,
                    remote=remote,
                    preprocess=preprocess,
                    largest_audio=settings.largest_audio,
                ),
                concurrency=settings.slots,
                leased=True,
                before=Before(
                    needed=bring.needed,
                    handler=bring,
                    concurrency=settings.fetches,
                    of_one_owner=settings.fetches_per_owner,
                ),
            )
            yield Service(name="transcoder", settings=settings, stages=[stage], background=[], leases=leases)


if __name__ == "__main__":
    serve(build)

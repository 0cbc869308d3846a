"""Joins the transcriber: engines that are configured here, blobs, leases and the two stages, on the bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.blobs.open import open_blobs
from common.bus.stage import EachStage
from common.catalogue import configured
from common.events import SegmentReady, SegmentTranscribed
from common.leases.open import open_leases
from common.service import Service, serve
from common.settings import ProviderSettings
from transcriber.arrivals import Arrivals
from transcriber.handler import Assemble, Recognise
from transcriber.providers.open import open_recognisers
from transcriber.settings import TranscriberSettings


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the transcriber needs; leaving it ends the recogniser's processes."""
    settings, providers = TranscriberSettings(), ProviderSettings()
    engines = configured(providers)
    async with (
        open_blobs(settings) as blobs,
        open_leases(settings) as leases,
        open_recognisers(engines, settings, providers) as recognisers,
    ):
        recognise = EachStage(
            event=SegmentReady,
            handler=Recognise(blobs=blobs, recognisers=recognisers),
            concurrency=settings.slots(engines),
            leased=True,
        )
        assemble = EachStage(
            event=SegmentTranscribed,
            handler=Assemble(blobs=blobs, engines=engines, arrivals=Arrivals(), plugin_seconds=settings.plugin_seconds),
            ordered=True,
        )
        yield Service(name="transcriber", settings=settings, stages=[recognise, assemble], leases=leases)


if __name__ == "__main__":
    serve(build)

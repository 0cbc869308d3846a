"""Joins the translator: settings, blobs, leases, the configured engines and the handler, on the bus."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import openai

from common.blobs.open import open_blobs
from common.bus import EachStage
from common.events import TranslationRequested
from common.leases.open import open_leases
from common.service import Service, serve
from common.settings import ProviderSettings
from translator.handler import Translate
from translator.ports import Translator
from translator.providers.apertium import Apertium
from translator.providers.openai import OpenAI
from translator.results import Results
from translator.settings import TranslatorSettings


@asynccontextmanager
async def build() -> AsyncIterator[Service]:
    """Open what the translator needs."""
    settings, keys = TranslatorSettings(), ProviderSettings()
    async with AsyncExitStack() as stack:
        blobs = await stack.enter_async_context(open_blobs(settings))
        leases = await stack.enter_async_context(open_leases(settings))
        translators: list[Translator] = []
        if keys.openai_api_key is not None:
            client = openai.AsyncOpenAI(
                api_key=keys.openai_api_key.get_secret_value(),
                base_url=keys.openai_base_url,
                max_retries=0,
            )
            await stack.enter_async_context(client)
            translators.append(
                OpenAI(client=client, model=settings.translation_model, seconds=settings.provider_seconds)
            )
        apertium = await Apertium.installed(settings.apertium, seconds=settings.apertium_seconds)
        if apertium is not None:
            translators.append(apertium)
        handler = Translate(results=Results(blobs), translators={engine.name: engine for engine in translators})
        stage = EachStage(event=TranslationRequested, handler=handler, concurrency=settings.slots, leased=True)
        yield Service(name="translator", settings=settings, stages=[stage], background=[], leases=leases)


if __name__ == "__main__":
    serve(build)

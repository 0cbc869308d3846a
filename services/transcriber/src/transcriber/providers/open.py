"""The recognisers of the engines that are configured here."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from common.engines import Engine
from common.settings import ProviderSettings
from transcriber.providers import Recogniser
from transcriber.providers.pocketsphinx import Pocketsphinx
from transcriber.settings import TranscriberSettings


@asynccontextmanager
async def open_recognisers(
    engines: Iterable[Engine], settings: TranscriberSettings, providers: ProviderSettings
) -> AsyncIterator[Mapping[str, Recogniser]]:
    """Open a recogniser by name for each configured recognition engine; on leaving, connections and processes end."""
    names = {e.name for e in engines if e.service == "transcription"}
    found: dict[str, Recogniser] = {}
    async with AsyncExitStack() as stack:
        if "pocketsphinx" in names:
            # Beside a paid engine it is seldom asked, and its model would take memory for nothing.
            only = len(names) == 1
            found["pocketsphinx"] = await stack.enter_async_context(Pocketsphinx(workers=settings.workers, warm=only))
        if "deepgram" in names and providers.deepgram_api_key is not None:
            # Imported only where used: an SDK costs a second of start and tens of megabytes.
            from transcriber.providers.deepgram import Deepgram  # noqa: PLC0415

            found["deepgram"] = await stack.enter_async_context(
                Deepgram(providers.deepgram_api_key.get_secret_value(), base_url=providers.deepgram_base_url)
            )
        if "openai" in names and providers.openai_api_key is not None:
            from transcriber.providers.openai import OpenAI  # noqa: PLC0415

            found["openai"] = await stack.enter_async_context(
                OpenAI(providers.openai_api_key.get_secret_value(), base_url=providers.openai_base_url)
            )
        yield found

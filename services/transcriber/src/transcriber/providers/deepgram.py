"""Deepgram by its own SDK: prerecorded audio, its retries switched off, its answers made neutral."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from common.blobs.threads import in_thread
from common.catalogue import model_for
from common.engines import DEEPGRAM, Engine, primary
from common.errors import StageError
from common.options import JobOptions
from common.providers.failures import garbled, refused, too_slow, unreachable
from common.transcript import Utterance, Word
from transcriber.providers import Heard
from transcriber.providers.audio_calls import REFUSALS, time_limit

ENDPOINT = "/v1/listen"
_BLOCK = 256 * 1024
_REGIONAL = {
    tag.lower(): tag
    for tag in (
        *("da-DK", "de-CH", "en-AU", "en-GB", "en-IN", "en-NZ", "en-US", "es-419", "fr-CA", "ko-KR", "nl-BE"),
        *("pt-BR", "pt-PT", "sv-SE", "zh-CN", "zh-Hans", "zh-Hant", "zh-TW"),
    )
}
"""Regional languages Deepgram knows; any other tag is sent as its language alone."""


class Deepgram:
    """Deepgram's recogniser; use it as an async context manager, which closes its connections."""

    engine: Engine = DEEPGRAM

    def __init__(self, key: str, *, base_url: str) -> None:
        base = base_url.rstrip("/")
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=10.0))
        self._client = AsyncDeepgramClient(
            api_key=key,
            environment=DeepgramClientEnvironment(base=base, production=base, agent=base, agent_rest=base),
            httpx_client=self._http,
        )

    async def __aenter__(self) -> "Deepgram":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
        """Recognise a WAV file; see `transcriber.providers.Recogniser`."""
        model = model_for(self.engine, options).name
        limit = time_limit(duration)
        try:
            async with asyncio.timeout(limit):
                answer = await self._client.listen.v1.media.transcribe_file(
                    request=_blocks(audio),
                    request_options={"max_retries": 0},
                    model=model,
                    **parameters(options),
                )
        except TimeoutError:
            raise too_slow("Deepgram", limit) from None
        except ApiError as error:
            raise _failure(error) from None
        except httpx.HTTPError:
            raise unreachable("Deepgram") from None
        try:
            return heard(answer.model_dump(), model=model, duration=duration)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise garbled("Deepgram") from None


def parameters(options: JobOptions) -> dict[str, Any]:
    """Query parameters for a job's options, save the model."""
    asked: dict[str, Any] = {
        "language": _REGIONAL.get(options.language.lower(), primary(options.language)),
        "smart_format": options.punctuate,
        "punctuate": options.punctuate,
        "utterances": True,
    }
    if options.diarize:
        asked["diarize_model"] = "latest"
    if options.profanity == "masked":
        asked["profanity_filter"] = True
    if options.keyterms:
        asked["keyterm"] = list(options.keyterms)
    return asked


def heard(answer: dict[str, Any], *, model: str, duration: float) -> Heard:
    """A success answer made neutral; raises `KeyError`, `TypeError`, `ValueError` or `IndexError` when it is none."""
    best = answer["results"]["channels"][0]["alternatives"][0]
    words = tuple(
        Word(
            word=w.get("punctuated_word") or w["word"],
            start=w["start"],
            end=w["end"],
            confidence=w.get("confidence"),
            speaker=speaker(w.get("speaker")),
        )
        for w in best.get("words") or ()
    )
    utterances = tuple(
        Utterance(
            start=u["start"],
            end=u["end"],
            text=u["transcript"],
            confidence=u.get("confidence"),
            speaker=speaker(u.get("speaker")),
        )
        for u in answer["results"].get("utterances") or ()
    )
    return Heard(
        text=str(best["transcript"]),
        model=model,
        endpoint=ENDPOINT,
        seconds=float((answer.get("metadata") or {}).get("duration") or duration),
        words=words,
        utterances=utterances,
    )


def speaker(number: int | None) -> str | None:
    """People count from one: Deepgram's speaker 0 is ``Speaker 1``."""
    return None if number is None else f"Speaker {number + 1}"


def _failure(error: ApiError) -> StageError:
    status = error.status_code or 0
    if 200 <= status < 300:
        return garbled("Deepgram")
    body = error.body
    said = (body.get("err_msg") or body.get("message") or "") if isinstance(body, dict) else str(body or "")
    return refused("Deepgram", status, error.headers, said=str(said), codes=REFUSALS)


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    # A whole recording can be a gigabyte: it is sent as it is read.
    with path.open("rb") as file:
        while block := await in_thread(file.read, _BLOCK):
            yield block

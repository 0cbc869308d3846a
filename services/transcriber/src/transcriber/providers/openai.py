"""OpenAI's transcription by its own SDK, its retries switched off, its three kinds of answer made neutral."""

import asyncio
from pathlib import Path
from typing import Any

import openai

from common.catalogue import model_for
from common.engines import OPENAI, Engine, Model, primary
from common.errors import Permanent
from common.options import JobOptions
from common.providers.failures import garbled
from common.providers.openai_calls import openai_call
from common.transcript import Utterance, Word
from transcriber.providers import Heard
from transcriber.providers.audio_calls import REFUSALS, time_limit

ENDPOINT = "/audio/transcriptions"


class OpenAI:
    """OpenAI's recogniser; use it as an async context manager, which closes its connections."""

    engine: Engine = OPENAI

    def __init__(self, key: str, *, base_url: str) -> None:
        self._client = openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0)

    async def __aenter__(self) -> "OpenAI":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
        """Recognise a WAV file; see `transcriber.providers.Recogniser`."""
        model = model_for(self.engine, options)
        size = (await asyncio.to_thread(audio.stat)).st_size
        if self.engine.max_bytes is not None and size > self.engine.max_bytes:
            msg = f"OpenAI hears at most {self.engine.max_bytes // 32_000 // 60} minutes at once; this is longer."
            raise Permanent("audio_too_large", msg)
        data = await asyncio.to_thread(audio.read_bytes)
        limit = time_limit(duration)
        async with openai_call(limit, codes=REFUSALS):
            answer: Any = await self._client.audio.transcriptions.create(
                file=("audio.wav", data, "audio/wav"), model=model.name, timeout=limit, **parameters(model, options)
            )
        try:
            return heard(answer.model_dump(), model=model.name, duration=duration)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise garbled("OpenAI") from None


def parameters(model: Model, options: JobOptions) -> dict[str, Any]:
    """Form fields for a job's options, save the model: the richest answer the model can give."""
    language = primary(options.language)
    asked: dict[str, Any]
    if model.word_timestamps:
        asked = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
    elif model.diarize:
        asked = {"response_format": "diarized_json", "chunking_strategy": "auto"}
    else:
        asked = {"response_format": "json"}
    if model.keyterms:
        asked["languages"] = [language]
        if options.keyterms:
            asked["keywords"] = list(options.keyterms)
    else:
        asked["language"] = language
    return asked


def heard(answer: dict[str, Any], *, model: str, duration: float) -> Heard:
    """A success answer made neutral; raises `KeyError`, `TypeError` or `ValueError` when it is none."""
    words = tuple(Word(word=w["word"].strip(), start=w["start"], end=w["end"]) for w in answer.get("words") or ())
    utterances = tuple(
        Utterance(start=s["start"], end=s["end"], text=s["text"].strip(), speaker=speaker(s.get("speaker")))
        for s in answer.get("segments") or ()
        if s["text"].strip()
    )
    usage = answer.get("usage") or {}
    text = answer["text"]
    if not isinstance(text, str):
        msg = "the text is no text"
        raise TypeError(msg)
    return Heard(
        text=text.strip(),
        model=model,
        endpoint=ENDPOINT,
        seconds=float(usage.get("seconds") or answer.get("duration") or duration),
        words=words,
        utterances=utterances,
    )


def speaker(letter: str | None) -> str | None:
    """OpenAI names speakers by letters: A is ``Speaker A``."""
    return f"Speaker {letter}" if letter else None

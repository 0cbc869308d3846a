"""A transcript becomes a translation: look whether it is there, translate utterance by utterance, store, tell."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain

from common import ids, layout
from common.bus import Context, Outputs
from common.catalogue import ENGINES, token_cost
from common.completed import translation_completed
from common.errors import Permanent
from common.events import StageProgress, TranslationRequested, UsageRecorded
from common.transcript import Billed, Translation, Utterance
from translator.batches import batches
from translator.ports import Translated, Translator
from translator.results import Part, Results, fingerprint


class Translate:
    """The translator's one handler.

    Parameters
    ----------
    results
        Where transcripts are read and translations kept.
    translators
        The engines that are configured here, by name.
    """

    def __init__(self, *, results: Results, translators: Mapping[str, Translator]) -> None:
        self._results = results
        self._translators = translators

    async def __call__(self, event: TranslationRequested, context: Context) -> Outputs:
        """Translate one transcript into one language, once: whoever comes later finds the result."""
        name = layout.translation(event.owner, event.job_id, event.language)
        done = await self._results.find(name, Translation)
        if done is None:
            made = await self._translation(event, context)
            if made is None or context.cancelled():
                return ()
            done = await self._results.keep(name, made)
        return _told(event, done, await self._results.when(name))

    async def _translation(self, event: TranslationRequested, context: Context) -> Translation | None:
        translator = self._translators.get(event.translator)
        if translator is None:
            here = ", ".join(self._translators) or "none"
            raise Permanent(
                "translator_missing", f"No translator {event.translator} is configured here; there is: {here}."
            )
        transcript = await self._results.transcript(event.transcript.name)
        if transcript is None:
            raise Permanent("transcript_missing", "The transcript was erased before it was translated.")
        utterances = transcript.utterances or (Utterance(start=0.0, end=transcript.duration, text=transcript.text),)
        texts = [" ".join(utterance.text.split()) for utterance in utterances]
        parts = await self._parts([text for text in texts if text], translator, event, context)
        if parts is None:
            return None
        translated = chain.from_iterable(part.texts for part in parts)
        spoken = tuple(
            Utterance(start=u.start, end=u.end, text=next(translated) if text else "", speaker=u.speaker)
            for u, text in zip(utterances, texts, strict=True)
        )
        return Translation(
            text=" ".join(u.text for u in spoken if u.text),
            language=event.language,
            source_language=event.source_language,
            duration=transcript.duration,
            utterances=spoken if transcript.utterances else tuple(u for u in spoken if u.text),
            provider=translator.name,
            model=translator.model,
            billed=_bill(translator, parts),
        )

    async def _parts(
        self, texts: Sequence[str], translator: Translator, event: TranslationRequested, context: Context
    ) -> list[Part] | None:
        """The texts' translations call by call; None when the job was cancelled before all were made."""
        groups = batches(texts, translator.batch)
        parts: list[Part] = []
        for index, group in enumerate(groups):
            name = layout.translation_part(event.owner, event.job_id, event.language, index)
            asked = fingerprint(event.source_language, translator.name, translator.model or "", *group)
            part = await self._results.find(name, Part) if len(groups) > 1 else None
            if part is None or part.source != asked:
                if context.cancelled():
                    return None
                await context.publish(_progress(event, index / len(groups)))
                answer = await translator.translate(group, source=event.source_language, target=event.language)
                part = _part(asked, group, answer)
                if len(groups) > 1:
                    await self._results.keep(name, part)
            parts.append(part)
        return parts


def _part(asked: str, group: Sequence[str], answer: Translated) -> Part:
    if len(answer.texts) != len(group):
        msg = f"a translator gave {len(answer.texts)} texts for {len(group)}"
        raise ValueError(msg)
    return Part(source=asked, texts=answer.texts, input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)


def _bill(translator: Translator, parts: Sequence[Part]) -> Billed | None:
    if translator.endpoint is None or not parts:
        return None
    given, got = sum(p.input_tokens for p in parts), sum(p.output_tokens for p in parts)
    engine = next(e for e in ENGINES if e.service == "translation" and e.name == translator.name)
    return Billed(
        endpoint=translator.endpoint,
        tokens=given + got,
        cost_usd=token_cost(engine, translator.model, given, got),
    )


def _progress(event: TranslationRequested, fraction: float) -> StageProgress:
    return StageProgress(
        **event.job,
        stage="translator",
        fraction=fraction,
        detail=f"translating into {event.language}",
    )


def _told(event: TranslationRequested, done: Translation, time: datetime) -> Outputs:
    yield translation_completed(event, event.language, done, time=time)
    if done.billed is not None:
        yield UsageRecorded(
            **event.job,
            time=time,
            usage_id=ids.event_id(event.job_id, "usage/translation", 1, event.language),
            service="translation",
            provider=done.provider,
            endpoint=done.billed.endpoint,
            model=done.model,
            tokens=done.billed.tokens,
            cost_usd=done.billed.cost_usd,
        )

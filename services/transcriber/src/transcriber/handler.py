"""The two stages: a piece of audio becomes a result, and when all results are there they become a transcript."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from common import ids, layout
from common.blobs import BlobNotFound, Blobs, BlobsUnavailable, read_all
from common.blobs.away import store_away
from common.blobs.patient import PAUSES, write_patiently
from common.bus.stage import Context
from common.catalogue import Engine, Unsupported
from common.completed import transcript_completed
from common.errors import Permanent, Transient
from common.events import (
    BlobRef,
    Event,
    SegmentReady,
    SegmentTranscribed,
    StageProgress,
    TranslationRequested,
    UsageRecorded,
    now,
)
from common.manifest import Manifest
from common.outline import Outline
from common.places import audio_seconds
from common.transcript import Billed, SegmentResult
from transcriber.arrivals import Arrivals
from transcriber.merge import Merge
from transcriber.providers import Recogniser
from transcriber.rebase import rebase
from transcriber.revise import revise
from transcriber.translators import translator_for

READS = 16
"""Results read at once while a transcript is assembled."""


class Recognise:
    """`SegmentReady` → the segment's result, `SegmentTranscribed` and `UsageRecorded`.

    What is paid for is paid once: the result is looked for first, under the lease the bus holds, and a redo after a
    crash reports from the stored result the very same usage.

    Parameters
    ----------
    blobs
        Where audio is read and results are stored.
    recognisers
        The engines configured here, by name.
    store_again
        Seconds to wait between attempts to store a result that was paid for.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        recognisers: Mapping[str, Recogniser],
        store_again: Sequence[float] = PAUSES,
    ) -> None:
        self._blobs = blobs
        self._recognisers = recognisers
        self._store_again = store_again
        self._slots = {name: asyncio.Semaphore(r.engine.concurrency) for name, r in recognisers.items()}

    async def __call__(self, event: SegmentReady, context: Context) -> Sequence[Event]:
        """Recognise one segment, unless that was done before or the job was cancelled."""
        name = layout.segment_result(event.owner, event.job_id, event.index)
        try:
            if await self._blobs.stat(name) is None and not await self._recognise(event, context, name):
                return []
            result = SegmentResult.model_validate_json(await read_all(self._blobs, name))
        except (BlobsUnavailable, OSError) as down:
            raise store_away() from down
        except BlobNotFound as gone:
            if context.cancelled():
                return []
            raise Permanent("audio_missing", "The audio of a segment is not in the store any more.") from gone
        return [_transcribed(event, name), _usage(event, result)]

    async def _recognise(self, event: SegmentReady, context: Context, name: str) -> bool:
        recogniser = self._recognisers.get(event.provider)
        if recogniser is None:
            raise Transient(f"{event.provider} is not configured in this transcriber.", code="provider_not_configured")
        async with self._slots[event.provider]:
            if context.cancelled():
                return False
            if event.index == 0:  # the assembler reports from the first result on; until then this says what happens
                await context.publish(_progress(event, 0))
            seconds = audio_seconds(event.start, event.end, event.places)
            async with self._blobs.local(event.audio.name) as audio:
                try:
                    heard = await recogniser.recognise(audio, options=event.options, duration=seconds)
                except Unsupported as changed:  # the catalogue is not the one the job was accepted by
                    raise Permanent("unsupported", changed.message) from changed
        if context.cancelled():
            return False
        result = rebase(heard, event, recogniser.engine, at=now())
        # Whoever stored one first is right; a late second one is dropped.
        await write_patiently(self._blobs, name, result.model_dump_json().encode(), pauses=self._store_again)
        return True


class Assemble:
    """`SegmentTranscribed`, in order per job → progress, and at last the transcript and what follows from it.

    Parameters
    ----------
    blobs
        Where results are read and the transcript is stored.
    engines
        What is configured here, for translations.
    arrivals
        Which results are known to be there.
    plugin_seconds
        How long a job's plug-ins may take for its text.
    """

    def __init__(
        self, *, blobs: Blobs, engines: Sequence[Engine], arrivals: Arrivals, plugin_seconds: float = 60.0
    ) -> None:
        self._blobs = blobs
        self._engines = engines
        self._arrivals = arrivals
        self._plugin_seconds = plugin_seconds

    async def __call__(self, event: SegmentTranscribed, context: Context) -> Sequence[Event]:
        """Look whether every result is there; then merge, store once and announce."""
        if context.cancelled():
            return []
        job = self._arrivals.of(event.job_id)
        try:
            complete = await job.complete(event, self._blobs)
            if job.report_due():
                await context.publish(_progress(event, job.done))
            if not complete or job.finished_by not in {None, event.index}:
                return []
            manifest = await self._manifest(event)
            outline = await self._outline(event, manifest)
        except BlobsUnavailable as down:
            raise store_away() from down
        except BlobNotFound as gone:
            if context.cancelled():
                return []
            raise Permanent("results_missing", "A result of the job is not in the store any more.") from gone
        # Results that were there before their events came would have the same transcript announced again.
        job.finished_by = event.index
        return self._announce(event, manifest, outline)

    async def _manifest(self, event: SegmentTranscribed) -> Manifest:
        name = layout.manifest(event.owner, event.job_id)
        return Manifest.model_validate_json(await read_all(self._blobs, name))

    async def _outline(self, event: SegmentTranscribed, manifest: Manifest) -> Outline:
        name = layout.transcript(event.owner, event.job_id)
        if await self._blobs.stat(name) is None:
            try:
                merged = await self._merged(event, manifest)
            except Permanent:
                if await self._blobs.stat(name) is None:
                    raise
            else:
                if await self._blobs.write(name, _pieces(merged)):
                    return merged.outline()
        # Another process was first: what it stored is what is announced.
        raw = await read_all(self._blobs, name)
        return await asyncio.to_thread(Outline.of_stored, raw)

    async def _merged(self, event: SegmentTranscribed, manifest: Manifest) -> Merge:
        merge = Merge(language=manifest.options.language, duration=manifest.duration)
        names = [layout.segment_result(event.owner, event.job_id, index) for index in range(event.count)]
        for at in range(0, event.count, READS):
            raw = await asyncio.gather(*(read_all(self._blobs, name) for name in names[at : at + READS]))
            # Off the event loop: it must keep its heartbeats.
            await asyncio.to_thread(_add, merge, raw)
        if manifest.options.plugins:
            await revise(merge, manifest, seconds=self._plugin_seconds)
        return merge

    def _announce(self, event: SegmentTranscribed, manifest: Manifest, outline: Outline) -> list[Event]:
        languages = tuple(dict.fromkeys(manifest.options.translate))
        completed = transcript_completed(event, outline, segments=event.count, translations=languages)
        requests = [
            TranslationRequested(
                **event.job,
                language=language,
                source_language=outline.language,
                transcript=completed.transcript,
                translator=translator_for(language, outline.language, manifest.options, self._engines),
            )
            for language in languages
        ]
        return [completed, *requests]


def _add(merge: Merge, raw: Sequence[bytes]) -> None:
    for one in raw:
        merge.add(SegmentResult.model_validate_json(one))


async def _pieces(merge: Merge) -> AsyncIterator[bytes]:
    for piece in merge.finish():
        yield piece


def _transcribed(event: SegmentReady, name: str) -> SegmentTranscribed:
    return SegmentTranscribed(
        **event.job,
        index=event.index,
        count=event.count,
        result=BlobRef(name=name),
    )


def _usage(event: SegmentReady, result: SegmentResult) -> UsageRecorded:
    billed = result.billed or Billed(endpoint="")
    return UsageRecorded(
        **event.job,
        time=billed.at or now(),
        usage_id=ids.derived(ids.segment_id(event.job_id, event.index), "usage"),
        service="transcription",
        provider=result.provider,
        endpoint=billed.endpoint,
        model=result.model,
        audio_seconds=billed.audio_seconds,
        cost_usd=billed.cost_usd,
    )


def _progress(event: SegmentReady | SegmentTranscribed, done: int) -> StageProgress:
    return StageProgress(
        **event.job,
        stage="transcriber",
        fraction=min(1.0, done / event.count),
        detail=f"{done} of {event.count} segments",
    )

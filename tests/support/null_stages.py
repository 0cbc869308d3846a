"""A process with every stage before the recorder, each doing no work of its own: one event in, the next ones out.

Run as ``python -m support.null_stages`` with a service's environment; prints ``ready`` once it consumes.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID, uuid5

from common import ids, layout
from common.bus import Context, EachStage
from common.bus.runtime import Bus
from common.events import (
    BlobRef,
    Event,
    SegmentReady,
    SegmentTranscribed,
    TranscriptCompleted,
    TranslationCompleted,
    TranslationRequested,
    UploadReceived,
    UsageRecorded,
)
from common.logs import configure
from common.service import calm_collector
from common.settings import CommonSettings

LANGUAGE = "es"
TRANSCRIPT = layout.transcript("operator", UUID(int=0))
"""The one transcript of all jobs: the recorder reads it for each and records what was said."""


async def transcode(event: UploadReceived, _: Context) -> list[Event]:
    """One segment, not cut from anything."""
    audio = BlobRef(name=layout.segment_audio(event.owner, event.job_id, 0))
    return [SegmentReady(**event.job, index=0, count=1, start=0, end=1, audio=audio, provider="null")]


async def recognise(event: SegmentReady, _: Context) -> list[Event]:
    """One segment's result, and what it cost."""
    usage = UsageRecorded(
        **event.job,
        usage_id=uuid5(ids.segment_id(event.job_id, event.index), "usage"),
        service="transcription",
        provider="null",
        endpoint="",
        audio_seconds=1.0,
    )
    result = BlobRef(name=layout.segment_result(event.owner, event.job_id, event.index))
    return [SegmentTranscribed(**event.job, index=event.index, count=event.count, result=result), usage]


async def assemble(event: SegmentTranscribed, _: Context) -> list[Event]:
    """A transcript, and the request to translate it."""
    transcript = BlobRef(name=TRANSCRIPT)
    return [
        TranscriptCompleted(
            **event.job,
            transcript=transcript,
            text="nothing was said",
            language="en",
            duration=1.0,
            words=3,
            segments=event.count,
            provider="null",
            translations=(LANGUAGE,),
        ),
        TranslationRequested(
            **event.job, language=LANGUAGE, source_language="en", transcript=transcript, translator="null"
        ),
    ]


async def translate(event: TranslationRequested, _: Context) -> list[Event]:
    """A translation."""
    name = layout.translation(event.owner, event.job_id, event.language)
    text = "no se dijo nada"
    return [
        TranslationCompleted(
            **event.job, language=event.language, translation=BlobRef(name=name), text=text, translator="null"
        )
    ]


STAGES = {
    "transcoder": [EachStage(event=UploadReceived, handler=transcode)],
    "transcriber": [
        EachStage(event=SegmentReady, handler=recognise),
        EachStage(event=SegmentTranscribed, handler=assemble, ordered=True),
    ],
    "translator": [EachStage(event=TranslationRequested, handler=translate)],
}


@asynccontextmanager
async def running_stages() -> AsyncIterator[None]:
    """The three services in this process, from the first moment all of them consume."""
    settings = CommonSettings()
    configure("null", settings.log_level)
    async with AsyncExitStack() as stack:
        buses = [Bus(service, settings, stages) for service, stages in STAGES.items()]
        for bus in buses:
            await bus.start()
            stack.push_async_callback(bus.stop)
        async with asyncio.timeout(60):
            while any(bus.ready() for bus in buses):
                await asyncio.sleep(0.05)
        yield


async def main() -> None:
    """Work until standard input ends."""
    async with running_stages():
        calm_collector()
        print('"ready"', flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

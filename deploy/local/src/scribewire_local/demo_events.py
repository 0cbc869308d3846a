"""The events on the topics, as one line for people each."""

from collections.abc import Sequence

from common import events
from common.bus.follow import Followed, read_to_end
from common.topics import names


async def everything(bootstrap: str) -> list[Followed]:
    """Read every event of the contract that is on the log now, in order of time, an end after what it ended."""
    topics = [topic for event in events.REGISTRY.values() for topic in names(event)]
    found = [followed async for followed in read_to_end(bootstrap, topics) if followed.event is not None]
    return sorted(found, key=_when)


def _when(followed: Followed) -> tuple[float, bool]:
    event = followed.event
    return (event.time.timestamp() if event is not None else 0.0, isinstance(event, events.Terminal))


def lines(found: Sequence[Followed]) -> list[str]:
    """Return topic, job and key facts of each event, and the many reports of progress as one line."""
    shown = [
        f"{followed.topic:<33} {str(followed.event.job_id)[:8]}  {facts(followed.event)}"
        for followed in found
        if followed.event is not None and not isinstance(followed.event, events.StageProgress)
    ]
    reports = sum(isinstance(followed.event, events.StageProgress) for followed in found)
    return [*shown, f"{events.StageProgress.type:<33} {reports} reports"]


def facts(event: events.Event) -> str:
    """Say what an event tells, in a few words."""
    match event:
        case events.UploadReceived():
            return f"{event.filename}, {event.source.size or 0:,} bytes, for {event.plan.provider}"
        case events.SegmentReady():
            return f"segment {event.index + 1} of {event.count}, {event.start:.1f}–{event.end:.1f} s"
        case events.SegmentTranscribed():
            return f"segment {event.index + 1} of {event.count}"
        case events.TranscriptCompleted():
            return f"{event.words} words, {event.duration:.1f} s, {event.provider}: “{_short(event.text)}”"
        case events.TranslationRequested():
            return f"{event.source_language} → {event.language} by {event.translator}"
        case events.TranslationCompleted():
            return f"{event.language} by {event.translator}: “{_short(event.text)}”"
        case events.StageFailed():
            return f"{event.stage}: {event.error.code}"
        case events.UsageRecorded():
            return f"{event.provider}, {event.audio_seconds:.1f} s, {event.cost_usd:.4f} USD"
        case events.Terminal():
            return f"{event.filename}" + (f", {event.error.code}" if event.error else "")
        case _:
            return event.part


def _short(text: str, length: int = 40) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"

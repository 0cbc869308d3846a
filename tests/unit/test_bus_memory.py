"""The bus in memory runs handlers as the real one does."""

from uuid import uuid4

from common.bus import BatchStage, Context, EachStage
from common.bus.stage import Recorded
from common.errors import Permanent, Transient
from common.events import Event, SegmentReady, SegmentTranscribed, StageFailed, StageProgress
from common.testing import run_batch, run_stage
from support.buskit import segment, transcribed


async def handler(event: SegmentReady, context: Context) -> list[Event]:
    match event.audio.name:
        case "refused":
            raise Permanent("no_audio", "There is no audio.")
        case "flaky" if context.delivery < 3:
            raise Transient("busy")
        case "hopeless":
            raise Transient("busy", code="provider_down")
    await context.publish(
        StageProgress(job_id=event.job_id, owner=event.owner, stage="transcriber", fraction=context.delivery / 10)
    )
    return [transcribed(event)]


STAGE = EachStage(event=SegmentReady, handler=handler)


async def test_outputs_and_progress_in_order() -> None:
    event = segment()
    progress, output = await run_stage(STAGE, [event])
    assert isinstance(progress, StageProgress)
    assert output.id == transcribed(event).id


async def test_retries_have_no_delay_and_failures_become_events() -> None:
    events = [segment("flaky", index=1), segment("refused", index=2), segment("hopeless", index=3)]
    progress, output, refused, hopeless = await run_stage(STAGE, events)
    assert isinstance(progress, StageProgress)
    assert progress.fraction == 0.3
    assert isinstance(output, SegmentTranscribed)
    assert isinstance(refused, StageFailed)
    assert (refused.error.code, refused.failed_part, refused.delivery_attempts) == ("no_audio", "2", 1)
    assert isinstance(hopeless, StageFailed)
    assert (hopeless.error.code, hopeless.delivery_attempts) == ("provider_down", 8)


async def test_cancelled_jobs_do_not_run() -> None:
    job = uuid4()
    assert await run_stage(STAGE, [segment(job=job)], cancelled={job}) == []


async def test_a_batch_is_one_call() -> None:
    calls = list[list[tuple[str, int]]]()

    async def record(batch: list[Recorded]) -> list[Event]:
        calls.append([(one.topic, one.offset) for one in batch])
        return []

    await run_batch(BatchStage(events=[SegmentReady], handler=record), [segment(), segment(lane="bulk"), segment()])
    assert calls == [[("segment.ready.interactive", 0), ("segment.ready.bulk", 0), ("segment.ready.interactive", 1)]]

"""From results to one transcript, in whatever order and however often the stages hear of them."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import layout
from common.blobs import read_all
from common.bus.stage import EachStage
from common.engines import DEEPGRAM
from common.errors import Permanent
from common.events import BlobRef, Event, SegmentReady, SegmentTranscribed, StageFailed, TranscriptCompleted
from common.testing import run_stage
from common.testing.blobs import MemoryBlobs
from common.transcript import SegmentResult, Word
from support.segments import OWNER, silence, store_job
from transcriber.arrivals import Arrivals
from transcriber.handler import Assemble
from transcriber.merge import Merge

JOB = UUID(int=5)


async def _job(count: int) -> tuple[MemoryBlobs, list[SegmentReady]]:
    blobs = MemoryBlobs()
    audio = [silence(1, mark=index) for index in range(count)]
    return blobs, await store_job(blobs, audio, provider="deepgram", job=JOB)


async def _store(blobs: MemoryBlobs, ready: SegmentReady) -> SegmentTranscribed:
    """What the recogniser leaves of a segment: its result, then the event that says so."""
    word = Word(word=f"word{ready.index}", start=ready.start, end=ready.end)
    result = SegmentResult(
        index=ready.index,
        start=ready.start,
        end=ready.end,
        text=word.word,
        language="en",
        words=(word,),
        provider="deepgram",
        model="nova-3",
    )
    name = layout.segment_result(OWNER, JOB, ready.index)
    await blobs.write(name, result.model_dump_json().encode())
    return SegmentTranscribed(**ready.job, index=ready.index, count=ready.count, result=BlobRef(name=name))


def _assemblers(blobs: MemoryBlobs, number: int) -> list[EachStage]:
    """As many processes, none of which knows what another has seen."""
    return [
        EachStage(
            event=SegmentTranscribed,
            handler=Assemble(blobs=blobs, engines=[DEEPGRAM], arrivals=Arrivals(kept=1, clock=lambda: 0.0)),
            ordered=True,
        )
        for _ in range(number)
    ]


def _transcripts(events: Sequence[Event]) -> list[TranscriptCompleted]:
    return [event for event in events if isinstance(event, TranscriptCompleted)]


async def _assembled(count: int, heard: Sequence[tuple[int, int]]) -> tuple[list[TranscriptCompleted], bytes | None]:
    """Results are stored as their first events come; each event goes to one of the processes."""
    blobs, ready = await _job(count)
    stages = _assemblers(blobs, 3)
    said: list[Event] = []
    for index, process in heard:
        event = await _store(blobs, ready[index])
        said += await run_stage(stages[process], [event])
    assert not [event for event in said if isinstance(event, StageFailed)], "it looked for what was not there"
    name = layout.transcript(OWNER, JOB)
    stored = await read_all(blobs, name) if await blobs.stat(name) is not None else None
    return _transcripts(said), stored


@st.composite
def _heard(draw: st.DrawFn, count: int) -> list[tuple[int, int]]:
    every = list(range(count)) + draw(st.lists(st.integers(0, count - 1), max_size=count))
    return [(index, draw(st.integers(0, 2))) for index in draw(st.permutations(every))]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_order_and_any_repeats_give_one_transcript_of_the_same_bytes(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    _, expected = asyncio.run(_assembled(count, [(index, 0) for index in range(count)]))
    told, stored = asyncio.run(_assembled(count, data.draw(_heard(count))))
    assert told
    assert len({event.id for event in told}) == 1
    assert {event.text for event in told} == {" ".join(f"word{index}" for index in range(count))}
    assert stored == expected is not None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_while_one_result_is_missing_there_is_no_transcript(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6))
    missing = data.draw(st.integers(0, count - 1))
    heard = [one for one in data.draw(_heard(count)) if one[0] != missing]
    assert asyncio.run(_assembled(count, heard)) == ([], None)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_results_that_are_all_there_before_their_events_are_announced_once_by_a_process(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    order = data.draw(st.permutations(range(count)))

    async def run() -> list[TranscriptCompleted]:
        blobs, ready = await _job(count)
        events = [await _store(blobs, one) for one in ready]
        (stage,) = _assemblers(blobs, 1)
        return _transcripts(await run_stage(stage, [events[index] for index in order]))

    assert len(asyncio.run(run())) == 1


@pytest.mark.parametrize("stored", [True, False])
async def test_plugins_that_fail_after_another_stored_the_transcript_fail_no_job(
    monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    blobs, [ready] = await _job(1)
    event = await _store(blobs, ready)
    mine, other = _assemblers(blobs, 2)
    merged = Assemble._merged

    async def fails(*_: object) -> Merge:
        monkeypatch.setattr(Assemble, "_merged", merged)
        if stored:
            await run_stage(other, [event])
        raise Permanent("plugin_failed", "It stood still for too long.")

    monkeypatch.setattr(Assemble, "_merged", fails)
    said = await run_stage(mine, [event])
    assert [one.text for one in _transcripts(said)] == (["word0"] if stored else [])
    assert len([one for one in said if isinstance(one, StageFailed)]) == (0 if stored else 1)

"""The two stages without Kafka: what is stored, what is published, and what is paid for once."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest

from common import layout
from common.blobs import BlobsUnavailable, read_all
from common.bus.stage import EachStage
from common.catalogue import Unsupported
from common.engines import APERTIUM, DEEPGRAM, POCKETSPHINX
from common.errors import Permanent, Transient
from common.events import (
    SegmentReady,
    SegmentTranscribed,
    StageFailed,
    StageProgress,
    TranscriptCompleted,
    TranslationRequested,
    UsageRecorded,
)
from common.options import JobOptions
from common.testing import FakeContext, run_stage
from common.testing.blobs import MemoryBlobs
from common.transcript import SegmentResult, Transcript, Word
from support.segments import OWNER, silence, store_job
from transcriber.arrivals import Arrivals
from transcriber.handler import Assemble, Recognise
from transcriber.providers import Heard


class Echo:
    """A recogniser that hears one word, named for how often it was asked, and can fail or lag in scripted ways."""

    engine = DEEPGRAM

    def __init__(self, *failures: Exception, gate: asyncio.Event | None = None) -> None:
        self.calls = 0
        self.most_at_once = 0
        self._at_once = 0
        self._failures = list(failures)
        self._gate = gate

    async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
        self.calls += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self._gate is not None:
                await self._gate.wait()
            if self._failures:
                raise self._failures.pop(0)
            await asyncio.sleep(0)
        finally:
            self._at_once -= 1
        word = Word(word=f"heard{self.calls}", start=0.1, end=duration + 5.0)
        return Heard(text=word.word, model="nova-3", endpoint="/v1/listen", seconds=duration, words=(word,))


def recognise(blobs, recogniser):
    return EachStage(
        event=SegmentReady, handler=Recognise(blobs=blobs, recognisers={"deepgram": recogniser}), leased=True
    )


def assemble(blobs, *, engines=(DEEPGRAM, POCKETSPHINX, APERTIUM), clock=lambda: 0.0):
    handler = Assemble(blobs=blobs, engines=engines, arrivals=Arrivals(clock=clock))
    return EachStage(event=SegmentTranscribed, handler=handler, ordered=True)


async def job(blobs, count=3, **options):
    audio = [silence(2, mark=i) for i in range(count)]
    return await store_job(blobs, audio, provider="deepgram", options=JobOptions(**options))


def of(kind, events):
    return [e for e in events if isinstance(e, kind)]


async def test_a_segment_becomes_a_result_an_event_and_a_usage():
    blobs = MemoryBlobs()
    ready = await job(blobs)
    done, usage = await run_stage(recognise(blobs, Echo()), [ready[1]])
    result = SegmentResult.model_validate_json(await read_all(blobs, done.result.name))
    assert (done.index, done.count) == (1, 3)
    assert [(w.word, w.start, w.end) for w in result.words] == [("heard1", 2.1, 4.0)]  # re-based, and kept inside
    assert (usage.provider, usage.endpoint, usage.model) == ("deepgram", "/v1/listen", "nova-3")
    assert usage.audio_seconds == 2.0
    assert usage.cost_usd == pytest.approx(0.0043 / 30, abs=1e-6)


async def test_what_was_recognised_is_not_paid_for_again_and_the_redo_tells_the_same():
    blobs, recogniser = MemoryBlobs(), Echo()
    ready = await job(blobs)
    first = await run_stage(recognise(blobs, recogniser), [ready[0]])
    again = await run_stage(recognise(blobs, recogniser), [ready[0]])
    assert recogniser.calls == 1
    assert [e.id for e in again] == [e.id for e in first if not isinstance(e, StageProgress)]
    assert of(UsageRecorded, again) == of(UsageRecorded, first)


async def test_a_job_is_being_transcribed_from_the_moment_its_first_segment_is():
    blobs = MemoryBlobs()
    ready = await job(blobs)
    assert of(StageProgress, await run_stage(recognise(blobs, Echo()), [ready[1]])) == []
    (begun,) = of(StageProgress, await run_stage(recognise(blobs, Echo()), [ready[0]]))
    assert (begun.stage, begun.fraction, begun.detail) == ("transcriber", 0.0, "0 of 3 segments")


async def test_of_two_results_for_one_segment_the_first_stored_counts():
    blobs, gate = MemoryBlobs(), asyncio.Event()
    ready = (await job(blobs, count=1))[0]
    late = asyncio.create_task(Recognise(blobs=blobs, recognisers={"deepgram": Echo(gate=gate)})(ready, FakeContext()))
    await asyncio.sleep(0)
    winner = await run_stage(recognise(blobs, Echo(Transient("again"))), [ready])
    gate.set()
    _, usage = await late
    assert usage == of(UsageRecorded, winner)[0]
    stored = SegmentResult.model_validate_json(await read_all(blobs, layout.segment_result(OWNER, ready.job_id, 0)))
    assert stored.text == "heard2"


async def test_a_transient_failure_is_tried_again_and_a_permanent_one_fails_the_job():
    blobs = MemoryBlobs()
    ready = await job(blobs)
    done = await run_stage(recognise(blobs, Echo(Transient("busy"), Transient("busy"))), [ready[0]])
    assert (len(of(SegmentTranscribed, done)), len(of(UsageRecorded, done))) == (1, 1)
    failed = await run_stage(recognise(blobs, Echo(Permanent("audio_refused", "no"))), [ready[1]])
    assert [(e.error.code, e.failed_part) for e in of(StageFailed, failed)] == [("audio_refused", "1")]


async def test_a_job_the_catalogue_does_not_allow_any_more_fails_with_what_it_says():
    blobs = MemoryBlobs()
    ready = await job(blobs, count=1)
    failed = await run_stage(recognise(blobs, Echo(Unsupported("model", "there is no such model"))), ready)
    errors = [e.error for e in of(StageFailed, failed)]
    assert [(e.code, e.message) for e in errors] == [("unsupported", "there is no such model")]


async def test_an_engine_without_a_key_here_is_a_clear_failure():
    blobs = MemoryBlobs()
    ready = await store_job(blobs, [silence(1)], provider="openai")
    failed = await run_stage(recognise(blobs, Echo()), ready)
    assert [e.error.code for e in failed] == ["provider_not_configured"]


async def test_a_cancelled_job_is_not_paid_for_nor_stored():
    blobs, recogniser, gate = MemoryBlobs(), Echo(), asyncio.Event()
    ready = await job(blobs)
    context = FakeContext(jobs=[ready[0].job_id], job=ready[0].job_id)
    assert await Recognise(blobs=blobs, recognisers={"deepgram": recogniser})(ready[0], context) == []
    assert recogniser.calls == 0

    cancelled = set()
    waiting = Recognise(blobs=blobs, recognisers={"deepgram": Echo(gate=gate)})
    running = asyncio.create_task(waiting(ready[0], FakeContext(jobs=cancelled, job=ready[0].job_id)))
    await asyncio.sleep(0)
    cancelled.add(ready[0].job_id)
    gate.set()
    assert await running == []
    assert await blobs.stat(layout.segment_result(OWNER, ready[0].job_id, 0)) is None


async def test_erased_audio_is_silence_for_a_deleted_job_and_a_failure_for_another():
    blobs = MemoryBlobs()
    ready = (await job(blobs))[0]
    await blobs.remove(ready.audio.name)
    failed = await run_stage(recognise(blobs, Echo()), [ready])
    assert [e.error.code for e in of(StageFailed, failed)] == ["audio_missing"]


async def test_a_store_that_is_down_is_tried_again():
    blobs = MemoryBlobs()
    ready = (await job(blobs))[0]
    blobs.down = True
    with pytest.raises(Transient) as error:
        await Recognise(blobs=blobs, recognisers={"deepgram": Echo()})(ready, FakeContext())
    assert error.value.code == "storage_unavailable"


async def test_audio_that_cannot_be_read_for_now_is_tried_again():
    blobs = MemoryBlobs()
    ready = (await job(blobs))[0]
    handler = Recognise(blobs=blobs, recognisers={"deepgram": Echo(OSError("Input/output error"))})
    with pytest.raises(Transient) as error:
        await handler(ready, FakeContext())
    assert error.value.code == "storage_unavailable"


async def test_a_result_that_is_paid_for_is_not_lost_when_the_store_is_away_for_a_moment():
    class Away(MemoryBlobs):
        refusals = 2

        async def write(self, name, chunks):
            if "segments" in name and self.refusals:
                self.refusals -= 1
                raise BlobsUnavailable("away")
            return await super().write(name, chunks)

    blobs, recogniser = Away(), Echo()
    handler = Recognise(blobs=blobs, recognisers={"deepgram": recogniser}, store_again=(0, 0, 0))
    out = await handler((await job(blobs))[0], FakeContext())
    assert (len(out), recogniser.calls) == (2, 1)


async def test_an_engine_gets_no_more_calls_at_once_than_it_takes(monkeypatch):
    blobs, recogniser = MemoryBlobs(), Echo()
    monkeypatch.setattr(
        recogniser, "engine", type("E", (), {"concurrency": 2, "name": "deepgram", "model": lambda *_: None})()
    )
    handler = Recognise(blobs=blobs, recognisers={"deepgram": recogniser})
    await asyncio.gather(*(handler(event, FakeContext()) for event in await job(blobs, count=8)))
    assert (recogniser.calls, recogniser.most_at_once) == (8, 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_when_all_results_are_there_the_transcript_is_announced_once(order):
    blobs = MemoryBlobs()
    ready = await job(blobs, translate=("es", "de", "es"))
    stage, out = assemble(blobs), []
    for index in order:
        done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), [ready[index]]))
        out.append(await run_stage(stage, done))
    assert of(TranscriptCompleted, out[0] + out[1]) == []
    (completed,) = of(TranscriptCompleted, out[2])
    transcript = Transcript.model_validate_json(await read_all(blobs, completed.transcript.name))
    assert completed.text == transcript.text == "heard1 heard1 heard1"
    assert [w.start for w in transcript.words] == [0.1, 2.1, 4.1]
    assert (completed.words, completed.segments, completed.duration) == (3, 3, 6.0)
    assert (completed.language, completed.provider, completed.model) == ("en", "deepgram", "nova-3")
    assert completed.translations == ("es", "de")
    # es can be done here; de by nobody here, and it is the translator that will say so.
    assert [(e.language, e.translator) for e in of(TranslationRequested, out[2])] == [
        ("es", "apertium"),
        ("de", "openai"),
    ]


async def test_results_that_are_there_before_their_events_announce_one_transcript():
    blobs = MemoryBlobs()
    done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), await job(blobs)))
    out = await run_stage(assemble(blobs), done)
    assert len(of(TranscriptCompleted, out)) == 1


async def test_the_event_that_completed_a_job_announces_it_again_when_it_comes_again():
    blobs = MemoryBlobs()
    done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), await job(blobs)))
    stage = assemble(blobs)
    first = of(TranscriptCompleted, await run_stage(stage, done))
    again = of(TranscriptCompleted, await run_stage(stage, done))
    assert [e.id for e in first] == [e.id for e in again]


async def test_another_process_that_takes_over_half_way_still_completes_the_job():
    blobs = MemoryBlobs()
    ready = await job(blobs, count=6)
    one, other, out = assemble(blobs), assemble(blobs), []
    for index, stage in zip((0, 3, 1, 4, 2, 5), (one, other, one, other, other, one), strict=True):
        done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), [ready[index]]))
        out += await run_stage(stage, done)
    assert len(of(TranscriptCompleted, out)) == 1


async def test_a_transcript_that_is_stored_is_announced_as_it_is():
    blobs = MemoryBlobs()
    done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), await job(blobs)))
    stored = Transcript(text="from another process", language="en", duration=6, provider="deepgram")
    await blobs.write(layout.transcript(OWNER, done[0].job_id), stored.model_dump_json().encode())
    assert of(TranscriptCompleted, await run_stage(assemble(blobs), done))[0].text == "from another process"


async def test_looking_for_results_costs_at_most_one_look_a_segment_and_one_an_event():
    class Counting(MemoryBlobs):
        looks = 0

        async def stat(self, name):
            self.looks += 1
            return await super().stat(name)

    blobs, count = Counting(), 120
    ready = await job(blobs, count=count)
    stage = assemble(blobs)
    backwards = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), reversed(ready)))
    blobs.looks = 0
    assert len(of(TranscriptCompleted, await run_stage(stage, backwards))) == 1
    assert blobs.looks <= 2 * count + 1


async def test_progress_is_told_at_most_once_a_second():
    blobs, times = MemoryBlobs(), iter([0.0, 0.4, 0.9, 1.1, 1.5, 2.2])
    ready = await job(blobs, count=6)
    stage, fractions = assemble(blobs, clock=lambda: next(times)), []
    for event in ready:
        done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), [event]))
        fractions += [e.fraction for e in of(StageProgress, await run_stage(stage, done))]
    assert fractions == [pytest.approx(n / 6) for n in (1, 4, 6)]


async def test_long_text_travels_cut_and_says_so():
    blobs = MemoryBlobs()
    done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), await job(blobs)))
    stored = Transcript(text="é" * 100_000, language="en", duration=6)
    await blobs.write(layout.transcript(OWNER, done[0].job_id), stored.model_dump_json().encode())
    (completed,) = of(TranscriptCompleted, await run_stage(assemble(blobs), done))
    assert completed.truncated
    assert len(completed.text.encode()) <= 64 * 1024


async def test_a_deleted_jobs_late_events_have_no_effect():
    blobs = MemoryBlobs()
    done = of(SegmentTranscribed, await run_stage(recognise(blobs, Echo()), await job(blobs)))
    for prefix in layout.job_prefixes(OWNER, done[0].job_id):
        await blobs.remove(prefix)
    handler = Assemble(blobs=blobs, engines=(), arrivals=Arrivals())
    context = FakeContext(jobs=[done[0].job_id], job=done[0].job_id)
    assert await handler(done[-1], context) == []


def test_what_is_known_of_jobs_is_bounded():
    arrivals = Arrivals(kept=3)
    first = uuid4()
    known = arrivals.of(first)
    assert arrivals.of(first) is known
    for _ in range(3):
        arrivals.of(uuid4())
    assert arrivals.of(first) is not known


async def test_the_result_in_the_store_is_plain_json():
    blobs = MemoryBlobs()
    ready = await job(blobs, count=1)
    await run_stage(recognise(blobs, Echo()), ready)
    raw = json.loads(await read_all(blobs, layout.segment_result(OWNER, ready[0].job_id, 0)))
    assert raw["billed"]["audio_seconds"] == 2.0

"""Plug-ins and the text: what the transcript, its utterances and the job say when plug-ins changed or broke them."""

from pathlib import Path

import pytest

from common import layout
from common.blobs import read_all
from common.bus.stage import EachStage
from common.engines import DEEPGRAM
from common.events import BlobRef, SegmentReady, SegmentTranscribed, StageFailed, TranscriptCompleted
from common.options import JobOptions
from common.testing import run_stage
from common.testing.blobs import MemoryBlobs
from common.transcript import SegmentResult, Transcript, Word
from support.plugins import install, on_path
from support.segments import OWNER, silence, store_job
from transcriber.arrivals import Arrivals
from transcriber.handler import Assemble, Recognise
from transcriber.providers import Heard

ENGLISH = "so my fellow americans ask not what your country can do for you"


async def assembled(text: str, *plugins: str) -> tuple[list[object], MemoryBlobs]:
    """What is told when a job of one segment, in which a text was heard, is assembled twice over by strangers."""
    blobs = MemoryBlobs()
    (ready,) = await store_job(blobs, [silence(9)], provider="deepgram", options=JobOptions(plugins=plugins))
    words = tuple(Word(word=w, start=at / 2, end=at / 2 + 0.4) for at, w in enumerate(text.split()))
    result = SegmentResult(index=0, start=0, end=9, text=text, language="en", words=words, provider="deepgram")
    name = layout.segment_result(OWNER, ready.job_id, 0)
    await blobs.write(name, result.model_dump_json().encode())
    event = SegmentTranscribed(**ready.job, index=0, count=1, result=BlobRef(name=name))
    handler = Assemble(blobs=blobs, engines=[DEEPGRAM], arrivals=Arrivals(), plugin_seconds=30)
    return list(await run_stage(EachStage(event=SegmentTranscribed, handler=handler, ordered=True), [event])), blobs


async def transcript(told: list[object], blobs: MemoryBlobs) -> Transcript:
    (completed,) = [event for event in told if isinstance(event, TranscriptCompleted)]
    return Transcript.model_validate_json(await read_all(blobs, completed.transcript.name))


async def test_what_a_plugin_makes_of_the_text_is_said_by_its_utterances_and_paragraphs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path, monkeypatch)
    install(
        tmp_path, "masks", "    def post_process(self, text, settings):\n        return text.replace('two', '***')\n"
    )
    told, blobs = await assembled("one two three", "masks")
    made = await transcript(told, blobs)
    assert made.text == "one *** three"
    assert [utterance.text for utterance in made.utterances] == ["one *** three"]
    assert [paragraph.text for paragraph in made.paragraphs] == ["one *** three"]
    assert [word.word for word in made.words] == ["one", "two", "three"]
    assert made.detected_language is None


async def test_the_language_is_found_in_the_text() -> None:
    told, blobs = await assembled(ENGLISH, "language_detection")
    made = await transcript(told, blobs)
    assert (made.language, made.detected_language) == ("en", "en")
    assert made.text == ENGLISH
    (completed,) = [event for event in told if isinstance(event, TranscriptCompleted)]
    assert completed.detected_language == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("et c'est la dictée numéro un que nous allons écrire ensemble aujourd'hui", "fr"),
        ("guten tag wie geht es ihnen ich möchte gern ein zimmer für zwei nächte", "de"),
        ("我们今天下午去公园散步然后回家吃饭", "zh"),
        ("one two", None),
        ("", None),
    ],
)
async def test_where_a_text_says_too_little_no_language_is_named(text: str, language: str | None) -> None:
    assert (await transcript(*await assembled(text, "language_detection"))).detected_language == language


async def test_a_plugin_that_breaks_fails_the_job_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, monkeypatch)
    install(tmp_path, "breaks", "    def post_process(self, text, settings):\n        os._exit(1)\n")
    told, _ = await assembled("one two three", "breaks")
    (failed,) = [event for event in told if isinstance(event, StageFailed)]
    assert failed.error.code == "plugin_failed"
    assert "The plug-in breaks ended its process" in failed.error.message
    assert not [event for event in told if isinstance(event, TranscriptCompleted)]


async def test_times_of_a_segment_of_which_something_was_left_out_are_the_recordings() -> None:
    """Six seconds of audio of a stretch of ten: from its second 2 on it was heard four seconds later."""
    asked = []

    class Engine:
        engine = DEEPGRAM

        async def recognise(self, audio: Path, *, options: JobOptions, duration: float) -> Heard:
            asked.append(duration)
            words = tuple(Word(word=str(s), start=s, end=e) for s, e in ((1.5, 2.0), (2.0, 2.5), (5.0, 6.0)))
            return Heard(text="1 2 5", model="nova-3", endpoint="x", seconds=duration, words=words)

    blobs = MemoryBlobs()
    (ready,) = await store_job(blobs, [silence(6)], provider="deepgram")
    ready = ready.model_copy(update={"start": 100.0, "end": 110.0, "places": ((2.0, 106.0),)})
    stage = EachStage(
        event=SegmentReady, handler=Recognise(blobs=blobs, recognisers={"deepgram": Engine()}), leased=True
    )
    await run_stage(stage, [ready])
    result = SegmentResult.model_validate_json(await read_all(blobs, layout.segment_result(OWNER, ready.job_id, 0)))
    assert asked == [6.0]
    assert [(word.start, word.end) for word in result.words] == [(101.5, 102.0), (106.0, 106.5), (109.0, 110.0)]

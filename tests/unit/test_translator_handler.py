"""The translator's handler on the memory bus: cue times stay, results are kept, nothing is paid for twice."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from common import layout
from common.blobs import BlobsUnavailable, Chunks, Name
from common.bus import EachStage
from common.errors import Permanent, Transient
from common.events import (
    BlobRef,
    StageFailed,
    StageProgress,
    TranslationCompleted,
    TranslationRequested,
    UsageRecorded,
)
from common.testing import run_stage
from common.testing.blobs import MemoryBlobs
from common.transcript import Transcript, Translation, Utterance
from translator.batches import batches
from translator.handler import Translate
from translator.ports import Translated
from translator.results import Results


class Marks:
    """A paid translator that marks each text and counts what it was asked for."""

    name = "openai"
    model: str | None = "gpt-4o-mini"
    endpoint: str | None = "chat/completions"
    batch = 20

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.errors: list[Exception] = []

    async def translate(self, texts: Sequence[str], *, source: str, target: str) -> Translated:
        self.asked.append(tuple(texts))
        if len(self.asked) > 1 and self.errors:
            raise self.errors.pop()
        return Translated(tuple(f"{source}>{target} {text}" for text in texts), 100 * len(texts), 50 * len(texts))


class House:
    """A stored transcript, a translator, and the stage over both."""

    def __init__(self, *utterances: Utterance, text: str = "") -> None:
        self.blobs = MemoryBlobs()
        self.engine = Marks()
        self.job = uuid4()
        self.transcript = Transcript(text=text, language="en", duration=60.0, utterances=utterances)

    async def run(self, *, cancelled: Sequence[UUID] = (), translator: str = "openai") -> list[object]:
        name = layout.transcript("operator", self.job)
        if await self.blobs.stat(name) is None:
            await self.blobs.write(name, self.transcript.model_dump_json().encode())
        event = TranslationRequested(
            job_id=self.job,
            owner="operator",
            lane="bulk",
            language="es",
            source_language="en",
            transcript=BlobRef(name=name),
            translator=translator,
        )
        results = Results(self.blobs, store_again=(0, 0))
        handler = Translate(results=results, translators={"openai": self.engine})
        stage = EachStage(event=TranslationRequested, handler=handler, leased=True)
        return list(await run_stage(stage, [event], cancelled=cancelled, service="translator"))

    async def stored(self) -> Translation:
        raw = b"".join([c async for c in self.blobs.read(layout.translation("operator", self.job, "es"))])
        return Translation.model_validate_json(raw)


def said(*texts: str) -> tuple[Utterance, ...]:
    return tuple(
        Utterance(start=i * 2.0, end=i * 2.0 + 1.5, text=text, speaker=f"Speaker {i % 2 + 1}")
        for i, text in enumerate(texts)
    )


async def test_every_utterance_keeps_its_time_and_speaker() -> None:
    house = House(*said("Hello there.", "How are\nyou?", "", "Fine."))
    out = await house.run()
    stored = await house.stored()
    assert [(u.start, u.end, u.speaker) for u in stored.utterances] == [
        (u.start, u.end, u.speaker) for u in house.transcript.utterances
    ]
    assert [u.text for u in stored.utterances] == ["en>es Hello there.", "en>es How are you?", "", "en>es Fine."]
    completed = [e for e in out if isinstance(e, TranslationCompleted)]
    assert len(completed) == 1
    assert completed[0].text == "en>es Hello there. en>es How are you? en>es Fine."
    assert (completed[0].lane, completed[0].translator, completed[0].key) == ("bulk", "openai", f"{house.job}/es")
    assert completed[0].translation.name == layout.translation("operator", house.job, "es")
    fractions = [e.fraction for e in out if isinstance(e, StageProgress)]
    assert fractions == sorted(fractions)


async def test_what_is_paid_is_told_with_tokens_and_cost() -> None:
    house = House(*said("Hello there.", "Fine."))
    usage = [e for e in await house.run() if isinstance(e, UsageRecorded)]
    assert len(usage) == 1
    assert (usage[0].service, usage[0].provider, usage[0].endpoint) == ("translation", "openai", "chat/completions")
    assert usage[0].tokens == 300
    assert usage[0].cost_usd == pytest.approx((200 * 0.15 + 100 * 0.60) / 1e6, abs=1e-6)


async def test_the_same_event_again_tells_the_same_and_pays_nothing() -> None:
    house = House(*said("Hello there."))
    first = [e for e in await house.run() if not isinstance(e, StageProgress)]
    asked = len(house.engine.asked)
    assert await house.run() == first
    assert len(house.engine.asked) == asked


async def test_a_later_failure_does_not_pay_again_for_what_is_translated() -> None:
    house = House(*said("a" * 15, "b" * 15, "c" * 15))
    house.engine.errors = [Transient("slower"), Transient("slower")]
    out = await house.run()
    assert [e for e in out if isinstance(e, TranslationCompleted)]
    assert [texts[0][0] for texts in house.engine.asked] == ["a", "b", "b", "b", "c"]


async def test_a_part_of_another_translator_is_not_used() -> None:
    house = House(*said("a" * 15, "b" * 15))
    house.engine.errors = [Permanent("provider_refused", "no")]
    await house.run()
    house.engine.model = "gpt-4o"
    await house.run()
    assert [texts[0][0] for texts in house.engine.asked] == ["a", "b", "a", "b"]


async def test_silence_is_translated_without_asking_anybody() -> None:
    house = House()
    out = await house.run()
    assert house.engine.asked == []
    assert [type(e) for e in out] == [TranslationCompleted]
    assert (await house.stored()).text == ""


async def test_a_transcript_without_utterances_is_one() -> None:
    house = House(text="All of it.")
    await house.run()
    assert [(u.start, u.end, u.text) for u in (await house.stored()).utterances] == [(0.0, 60.0, "en>es All of it.")]


async def test_a_translator_that_is_not_here_fails_by_name() -> None:
    out = await House(*said("Hello.")).run(translator="babelfish")
    assert [type(e) for e in out] == [StageFailed]
    failed = out[0]
    assert isinstance(failed, StageFailed)
    assert (failed.error.code, failed.failed_part) == ("translator_missing", "es")
    assert "babelfish" in failed.error.message
    assert "openai" in failed.error.message


async def test_an_erased_transcript_fails_clearly() -> None:
    house = House(*said("Hello."))
    await house.run()
    await house.blobs.remove(f"users/operator/transcripts/{house.job}/")
    handler = Translate(results=Results(house.blobs), translators={"openai": house.engine})
    event = TranslationRequested(
        job_id=house.job,
        owner="operator",
        language="es",
        source_language="en",
        transcript=BlobRef(name=layout.transcript("operator", house.job)),
        translator="openai",
    )
    (failed,) = await run_stage(EachStage(event=TranslationRequested, handler=handler), [event], service="translator")
    assert isinstance(failed, StageFailed)
    assert failed.error.code == "transcript_missing"


async def test_a_store_that_is_down_is_tried_again_and_named() -> None:
    house = House(*said("Hello."))
    await house.run()
    house.blobs.down = True
    handler = Translate(results=Results(house.blobs), translators={"openai": house.engine})
    event = TranslationRequested(
        job_id=house.job,
        owner="operator",
        language="fr",
        source_language="en",
        transcript=BlobRef(name=layout.transcript("operator", house.job)),
        translator="openai",
    )
    (failed,) = await run_stage(EachStage(event=TranslationRequested, handler=handler), [event], service="translator")
    assert isinstance(failed, StageFailed)
    assert (failed.error.code, failed.delivery_attempts) == ("storage_unavailable", 8)


async def test_what_is_paid_for_is_not_lost_when_the_store_is_away_for_a_moment() -> None:
    class Away(MemoryBlobs):
        refusals = 2

        async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
            if "translation" in str(name) and self.refusals:
                self.refusals -= 1
                raise BlobsUnavailable
            return await super().write(name, chunks)

    house = House(*said("Hello."))
    house.blobs = Away()
    out = await house.run()
    assert [e for e in out if isinstance(e, TranslationCompleted)]
    assert len(house.engine.asked) == 1


async def test_a_job_cancelled_meanwhile_is_paid_for_no_further() -> None:
    house = House(*said("a" * 15, "b" * 15, "c" * 15))
    jobs: set[UUID] = set()
    translate = house.engine.translate

    async def cancelling(texts: Sequence[str], *, source: str, target: str) -> Translated:
        jobs.add(house.job)
        return await translate(texts, source=source, target=target)

    house.engine.translate = cancelling  # type: ignore[method-assign]
    name = layout.transcript("operator", house.job)
    await house.blobs.write(name, house.transcript.model_dump_json().encode())
    event = TranslationRequested(
        job_id=house.job,
        owner="operator",
        language="es",
        source_language="en",
        transcript=BlobRef(name=name),
        translator="openai",
    )
    handler = Translate(results=Results(house.blobs), translators={"openai": house.engine})
    out = await run_stage(EachStage(event=TranslationRequested, handler=handler), [event], cancelled=jobs)
    assert {type(e) for e in out} == {StageProgress}
    assert len(house.engine.asked) == 1
    assert await house.blobs.stat(layout.translation("operator", house.job, "es")) is None


def test_batches_keep_order_and_size() -> None:
    assert batches([], 10) == []
    assert batches(["aaaa", "bbbb", "cccc", "d" * 30, "e"], 10) == [("aaaa", "bbbb"), ("cccc",), ("d" * 30,), ("e",)]

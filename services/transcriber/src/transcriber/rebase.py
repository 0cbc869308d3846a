"""From what was heard in a piece to a segment's result, with times from the start of the recording."""

from datetime import datetime

from common.catalogue import cost
from common.engines import Engine
from common.events import SegmentReady
from common.places import heard_at
from common.transcript import Billed, SegmentResult, Utterance, Word
from transcriber.providers import Heard


def rebase(heard: Heard, event: SegmentReady, engine: Engine, *, at: datetime) -> SegmentResult:
    """Move times to where the segment's audio was heard, keep them inside the segment, and add what the call cost."""

    def place(seconds: float, *, ending: bool = False) -> float:
        heard = heard_at(seconds, event.start, event.places, ending=ending)
        return round(min(max(heard, event.start), event.end), 3)

    return SegmentResult(
        index=event.index,
        start=event.start,
        end=event.end,
        text=heard.text,
        language=event.options.language,
        words=tuple(_word(w, place(w.start), place(w.end, ending=True)) for w in heard.words),
        utterances=tuple(_utterance(u, place(u.start), place(u.end, ending=True)) for u in heard.utterances),
        provider=engine.name,
        model=heard.model,
        billed=Billed(
            endpoint=heard.endpoint,
            audio_seconds=round(heard.seconds, 3),
            cost_usd=cost(engine, heard.model, heard.seconds),
            at=at,
        ),
    )


def _word(word: Word, start: float, end: float) -> Word:
    return word.model_copy(update={"start": start, "end": max(start, end)})


def _utterance(utterance: Utterance, start: float, end: float) -> Utterance:
    return utterance.model_copy(update={"start": start, "end": max(start, end)})

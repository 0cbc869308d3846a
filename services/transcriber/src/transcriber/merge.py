"""From segment results to one transcript, which is built as JSON while they are read: hours of words are never held."""

from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from common.engines import primary
from common.outline import Outline
from common.transcript import Paragraph, SegmentResult, Utterance, Word

UTTERANCE_PAUSE = 0.7
"""Seconds of silence that end an utterance made from words."""

PARAGRAPH_PAUSE = 2.0
"""Seconds of silence that end a paragraph."""

PARAGRAPH_LENGTH = 600
"""Characters after which the next utterance begins a new paragraph."""

_UNSPACED = {"ja", "km", "lo", "my", "th", "zh"}

_WORDS = TypeAdapter(tuple[Word, ...])


class Merge:
    """A transcript in the making: takes segments' results in their order, gives a `common.transcript.Transcript`.

    Segments do not overlap, so every word of every segment appears once, in the order of segments. Where an engine
    gave words without utterances, utterances are cut at pauses and not at the joints of segments, so how the audio
    was cut leaves no trace.

    Parameters
    ----------
    language
        The language that was spoken.
    duration
        Seconds of the whole recording.
    """

    def __init__(self, *, language: str, duration: float) -> None:
        self._language = language
        self._duration = duration
        self._provider = ""
        self._model: str | None = None
        self._count = 0
        self._space = "" if primary(language) in _UNSPACED else " "
        self._texts: list[str] = []
        self._words: list[bytes] = []
        self._utterances: list[bytes] = []
        self._paragraphs: list[bytes] = []
        self._loose: list[Word] = []
        self._paragraph: list[Utterance] = []
        self._length = 0
        self._revised: str | None = None
        self.detected_language: str | None = None
        """The language that a plug-in found."""

    def outline(self) -> Outline:
        """What is announced of the transcript."""
        text = self._text()
        return Outline(
            text=text,
            language=self._language,
            duration=self._duration,
            words=self._count or len(text.split()),
            provider=self._provider,
            model=self._model,
            detected_language=self.detected_language,
        )

    def add(self, result: SegmentResult) -> None:
        """Take the result of the next segment."""
        if self._model is None:
            self._model = result.model
        self._provider = self._provider or result.provider
        self._count += len(result.words)
        text = result.text.strip()
        if text:
            self._texts.append(text)
        if result.words:
            self._words.append(_WORDS.dump_json(result.words)[1:-1])
        if result.words and not result.utterances:
            for word in result.words:
                self._word(word)
            return
        self._end_of_words()
        if result.utterances:
            for utterance in result.utterances:
                self._utterance(utterance)
        elif text:
            self._utterance(Utterance(start=result.start, end=result.end, text=text))

    def texts(self) -> tuple[str, list[str]]:
        """The whole text, and the texts of the utterances and then of the paragraphs; nothing is added afterwards."""
        self._end_of_words()
        self._end_of_paragraph()
        utterances = [Utterance.model_validate_json(one).text for one in self._utterances]
        return self._text(), utterances + [Paragraph.model_validate_json(one).text for one in self._paragraphs]

    def revise(self, text: str, pieces: Sequence[str]) -> None:
        """Say it in other words: those of `texts`, as plug-ins changed them. The words stay as they were heard."""
        self._revised = text
        behind = len(self._utterances)
        self._utterances = list(map(_reworded(Utterance), self._utterances, pieces[:behind]))
        self._paragraphs = list(map(_reworded(Paragraph), self._paragraphs, pieces[behind:]))

    def finish(self) -> Iterator[bytes]:
        """The transcript as JSON, in pieces; nothing is added afterwards."""
        self._end_of_words()
        self._end_of_paragraph()
        head = {
            "text": self._text(),
            "language": self._language,
            "detected_language": self.detected_language,
            "duration": self._duration,
            "provider": self._provider,
            "model": self._model,
        }
        yield to_json(head)[:-1]
        for name, entries in (
            (b"utterances", self._utterances),
            (b"paragraphs", self._paragraphs),
            (b"words", self._words),
        ):
            yield b',"%b":[' % name
            for number, entry in enumerate(entries):
                yield b"," + entry if number else entry
            yield b"]"
        yield b"}"

    def _text(self) -> str:
        return self._space.join(self._texts) if self._revised is None else self._revised

    def _word(self, word: Word) -> None:
        last = self._loose[-1] if self._loose else None
        if last is not None and (word.start - last.end >= UTTERANCE_PAUSE or word.speaker != last.speaker):
            self._end_of_words()
        self._loose.append(word)

    def _end_of_words(self) -> None:
        group, self._loose = self._loose, []
        if group:
            self._utterance(
                Utterance(
                    start=group[0].start,
                    end=group[-1].end,
                    text=self._space.join(w.word for w in group),
                    speaker=group[0].speaker,
                    confidence=_mean([w.confidence for w in group if w.confidence is not None]),
                )
            )

    def _utterance(self, utterance: Utterance) -> None:
        self._utterances.append(_json(utterance))
        last = self._paragraph[-1] if self._paragraph else None
        if last is not None and (
            utterance.start - last.end >= PARAGRAPH_PAUSE
            or utterance.speaker != last.speaker
            or self._length >= PARAGRAPH_LENGTH
        ):
            self._end_of_paragraph()
        self._paragraph.append(utterance)
        self._length += len(utterance.text)

    def _end_of_paragraph(self) -> None:
        group, self._paragraph, self._length = self._paragraph, [], 0
        if group:
            text = self._space.join(u.text for u in group)
            paragraph = Paragraph(start=group[0].start, end=group[-1].end, text=text, speaker=group[0].speaker)
            self._paragraphs.append(_json(paragraph))


def _reworded(kind: type[Utterance] | type[Paragraph]) -> Callable[[bytes, str], bytes]:
    return lambda raw, text: _json(kind.model_validate_json(raw).model_copy(update={"text": text}))


def _json(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None

"""From segment results to one transcript; a pure function of what was heard, whatever order it came in."""

from collections.abc import Iterable, Sequence

from common.engines import primary
from common.transcript import Paragraph, SegmentResult, Transcript, Utterance, Word

UTTERANCE_PAUSE = 0.7
"""Seconds of silence that end an utterance made from words."""

PARAGRAPH_PAUSE = 2.0
"""Seconds of silence that end a paragraph."""

PARAGRAPH_LENGTH = 600
"""Characters after which the next utterance begins a new paragraph."""

_UNSPACED = {"ja", "km", "lo", "my", "th", "zh"}


def merge(results: Iterable[SegmentResult], *, language: str, duration: float) -> Transcript:
    """Assemble a transcript.

    Segments do not overlap, so every word of every segment appears once, in the order of segments. Where an engine
    gave words without utterances, utterances are cut at pauses and not at the joints of segments, so how the audio
    was cut leaves no trace.

    Parameters
    ----------
    results
        The segments' results in any order; one index twice counts once.
    language
        The language that was spoken.
    duration
        Seconds of the whole recording.
    """
    ordered = [r for _, r in sorted({r.index: r for r in results}.items())]
    space = "" if primary(language) in _UNSPACED else " "
    utterances = _utterances(ordered, space)
    paragraphs = _paragraphs(utterances, space)
    models = [r.model for r in ordered if r.model is not None]
    return Transcript(
        text=space.join(r.text.strip() for r in ordered if r.text.strip()),
        language=language,
        duration=duration,
        words=tuple(w for r in ordered for w in r.words),
        utterances=tuple(utterances),
        paragraphs=tuple(paragraphs),
        provider=ordered[0].provider if ordered else "",
        model=models[0] if models else None,
    )


def _utterances(ordered: Sequence[SegmentResult], space: str) -> list[Utterance]:
    found: list[Utterance] = []
    loose: list[Word] = []
    for result in ordered:
        if result.words and not result.utterances:
            loose.extend(result.words)
            continue
        found.extend(_from_words(loose, space))
        loose = []
        if result.utterances:
            found.extend(result.utterances)
        elif result.text.strip():
            found.append(Utterance(start=result.start, end=result.end, text=result.text.strip()))
    found.extend(_from_words(loose, space))
    return found


def _from_words(words: Sequence[Word], space: str) -> list[Utterance]:
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1][-1] if groups else None
        if last is not None and word.start - last.end < UTTERANCE_PAUSE and word.speaker == last.speaker:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        Utterance(
            start=group[0].start,
            end=group[-1].end,
            text=space.join(w.word for w in group),
            speaker=group[0].speaker,
            confidence=_mean([w.confidence for w in group if w.confidence is not None]),
        )
        for group in groups
    ]


def _paragraphs(utterances: Sequence[Utterance], space: str) -> list[Paragraph]:
    groups: list[list[Utterance]] = []
    length = 0
    for utterance in utterances:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and utterance.start - last.end < PARAGRAPH_PAUSE
            and utterance.speaker == last.speaker
            and length < PARAGRAPH_LENGTH
        ):
            groups[-1].append(utterance)
            length += len(utterance.text)
        else:
            groups.append([utterance])
            length = len(utterance.text)
    return [
        Paragraph(start=g[0].start, end=g[-1].end, text=space.join(u.text for u in g), speaker=g[0].speaker)
        for g in groups
    ]


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None

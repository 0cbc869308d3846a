"""A document as timed pieces of text, from which subtitles are cut."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from common.formats.lines import LINE, chop, width
from common.formats.plain import one_line
from common.transcript import Transcript, Translation, Utterance, Word

_SLACK = 0.05
"""Seconds by which an engine's word may stick out of its utterance."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a piece of one; ``glued`` when no space precedes it, ``last`` when its utterance ends with it."""

    text: str
    start: float
    end: float
    speaker: str | None
    glued: bool = False
    last: bool = False


def tokens(document: Transcript | Translation) -> Iterator[Token]:
    """Every piece of text with its time in seconds, utterance by utterance.

    The text is the utterances' where there are any. Their pieces have the times of the recognised words when those
    match one to one, and share the utterance's time by their length when not, as in a translation.
    """
    words = sorted(document.words, key=lambda w: w.start) if isinstance(document, Transcript) else []
    if not document.utterances and words:
        for word in words:
            yield from _pieces(one_line(word.word).split(), word)
        return
    starts = [word.start for word in words]
    whole = Utterance(start=0.0, end=document.duration, text=document.text)
    for utterance in document.utterances or (whole,):
        texts = one_line(utterance.text).split()
        said = _said(utterance, words, starts)
        if len(said) == len(texts):
            pieces = [piece for text, word in zip(texts, said, strict=True) for piece in _pieces([text], word)]
        else:
            pieces = _pieces(texts, utterance)
        yield from pieces[:-1]
        yield from (replace(piece, last=True) for piece in pieces[-1:])


def _said(utterance: Utterance, words: Sequence[Word], starts: Sequence[float]) -> list[Word]:
    first = bisect_left(starts, utterance.start - _SLACK)
    end = bisect_left(starts, utterance.end + _SLACK)
    return [w for w in words[first:end] if w.end <= utterance.end + _SLACK and w.speaker == utterance.speaker]


def _pieces(texts: Sequence[str], source: Word | Utterance) -> list[Token]:
    """Tokens that share their source's time by their length."""
    parts = [(part, i > 0) for text in texts for i, part in enumerate(chop(text, LINE))]
    total = sum(width(part) + 1 for part, _ in parts)
    start = max(0.0, source.start)
    span = max(0.0, source.end - start)
    speaker = one_line(source.speaker or "") or None
    pieces, done = [], 0
    for part, glued in parts:
        begin, done = done, done + width(part) + 1
        pieces.append(Token(part, start + span * begin / total, start + span * done / total, speaker, glued))
    return pieces

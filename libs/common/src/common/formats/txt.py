"""Plain text: one paragraph a line, an empty line between two, a speaker named when the speaker changes."""

from collections.abc import Iterator

from common.formats.plain import one_line
from common.transcript import Paragraph, Transcript, Translation

_PAUSE = 2.0
"""Seconds of silence that begin a paragraph where the document has none of its own."""


def render(document: Transcript | Translation, *, speakers: bool = True) -> str:
    """The document as text that ends with a line end; the empty text when nothing was said."""
    lines, before = [], None
    for paragraph in _paragraphs(document):
        text, speaker = one_line(paragraph.text), one_line(paragraph.speaker or "")
        if text:
            lines.append(f"{speaker}: {text}\n" if speakers and speaker and speaker != before else f"{text}\n")
            before = speaker
    return "\n".join(lines)


def _paragraphs(document: Transcript | Translation) -> Iterator[Paragraph]:
    if isinstance(document, Transcript) and document.paragraphs:
        yield from document.paragraphs
        return
    if not document.utterances:
        yield Paragraph(start=0.0, end=document.duration, text=document.text)
        return
    last: Paragraph | None = None
    for u in document.utterances:
        if last is not None and u.speaker == last.speaker and u.start - last.end < _PAUSE:
            last = Paragraph(start=last.start, end=u.end, text=f"{last.text} {u.text}", speaker=u.speaker)
            continue
        if last is not None:
            yield last
        last = Paragraph(start=u.start, end=u.end, text=u.text, speaker=u.speaker)
    if last is not None:
        yield last

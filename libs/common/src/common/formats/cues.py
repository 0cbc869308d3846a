"""Cutting a document into subtitles that can be read: two short lines, one to seven seconds, never two voices."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from common.formats.lines import LINE, chop, layout, width
from common.formats.tokens import Token, tokens
from common.transcript import Cue, Transcript, Translation

SHORTEST = 1.0
"""Seconds a subtitle stays, if nobody else speaks before."""
LONGEST = 7.0
"""Seconds after which a subtitle goes."""
GAP = 0.08
"""Seconds of empty screen between two subtitles: two frames of film, so that the eye sees the change."""
PAUSE = 1.5
"""Seconds of silence across which no subtitle stands."""
COLUMNS_A_SECOND = 20.0
"""Reading speed: a subtitle stays that long if there is time before the next."""

_SENTENCE = tuple(".?!…。？！؟।")
_CLAUSE = (*_SENTENCE, *",;:—、，；：،؛")

_NAME = 30
"""Columns a speaker's name may take of a line."""


def cues(document: Transcript | Translation, *, labels: bool = False) -> list[Cue]:
    r"""Cut a document into subtitles.

    Parameters
    ----------
    document
        The transcript or translation.
    labels
        Whether the speaker's name and a colon stand before the first words after a change of speaker, as part of the
        text and of its length.

    Returns
    -------
    list of Cue
        By start; each of at most two lines (``\n`` between them) of one speaker, each end after its start. A subtitle
        is shorter than `SHORTEST` only where the next begins before that, and overlaps only one that begins with it.
    """
    made: list[list[Token]] = []
    for stretch in _stretches(_labelled(tokens(document)) if labels else tokens(document)):
        made.extend(_divided(stretch))
    return _timed(sorted(_joined(made), key=lambda group: group[0].start))


def _labelled(stream: Iterable[Token]) -> Iterator[Token]:
    before = None
    for token in stream:
        changed = token.speaker is not None and token.speaker != before
        before = token.speaker
        if token.speaker is not None and changed:
            name = token.speaker if width(token.speaker) <= _NAME else f"{chop(token.speaker, _NAME - 1)[0]}…"
            yield Token(f"{name}: ", token.start, token.start, token.speaker)
            # Glued, so that the name is not left alone in a subtitle.
            yield replace(token, glued=True)
        else:
            yield token


def _stretches(stream: Iterable[Token]) -> Iterator[list[Token]]:
    """What is said in one breath: up to the end of a sentence, a pause, or another speaker."""
    stretch: list[Token] = []
    for token in stream:
        if stretch and (stretch[-1].last or stretch[-1].text.endswith(_SENTENCE) or not _follows(stretch[-1], token)):
            yield stretch
            stretch = []
        stretch.append(token)
    if stretch:
        yield stretch


def _follows(before: Token, after: Token) -> bool:
    return after.speaker == before.speaker and -PAUSE < after.start - before.end < PAUSE


def _fits(group: Sequence[Token]) -> bool:
    if len(group) == 1:
        return True
    if group[-1].end - group[0].start > LONGEST or len(group) > 2 * LINE:
        return False
    return _lines(group) is not None


def _lines(group: Sequence[Token]) -> tuple[str, ...] | None:
    return layout([token.text for token in group], [token.glued for token in group])


def _divided(stretch: list[Token]) -> Iterator[list[Token]]:
    """Halves, and halves of halves, until each fits: so no last word is left alone, as filling up would leave it."""
    waiting = [stretch]
    while waiting:
        group = waiting.pop()
        if _fits(group):
            yield group
        else:
            at = _best_break(group)
            waiting += [group[at:], group[:at]]


def _best_break(group: Sequence[Token]) -> int:
    total = sum(width(token.text) + 1 for token in group)
    best, least, done = 1, float("inf"), 0
    for i, (before, after) in enumerate(pairwise(group), start=1):
        done += width(before.text) + 1
        cost = abs(done / total - 0.5)
        if before.text.endswith(_CLAUSE):
            cost -= 0.2
        cost -= min(0.2, max(0.0, after.start - before.end) * 0.4)
        if after.glued:
            cost += 1
        if cost < least:
            best, least = i, cost
    return best


def _joined(groups: Iterable[list[Token]]) -> Iterator[list[Token]]:
    """Put a group that would flash by together with the next, where one speaker says both and they fit."""
    before: list[Token] | None = None
    for group in groups:
        if before is not None:
            short = group[0].start - before[0].start < SHORTEST
            if short and _follows(before[-1], group[0]) and _fits(before + group):
                before = before + group
                continue
            yield before
        before = group
    if before is not None:
        yield before


def _timed(groups: Sequence[Sequence[Token]]) -> list[Cue]:
    made: list[Cue] = []
    following = later = float("inf")
    for group in reversed(groups):
        lines = _lines(group) or (group[0].text,)
        start, end = group[0].start, max(token.end for token in group)
        if start < following:
            following, later = start, following
        wanted = max(end, start + max(SHORTEST, sum(map(width, lines)) / COLUMNS_A_SECOND))
        # A gap that would take the words' own time away is not worth it.
        latest = later - GAP if later - GAP >= start + SHORTEST else later
        made.append(
            Cue(start=start, end=min(wanted, start + LONGEST, latest), text="\n".join(lines), speaker=group[0].speaker)
        )
    return made[::-1]

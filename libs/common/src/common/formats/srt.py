"""SubRip (SRT): a speaker is named when the speaker changes."""

import re

from common.formats.clock import clock
from common.formats.cues import cues
from common.transcript import Transcript, Translation

_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""SRT has no escapes: players take angle brackets and braces for markup, and an arrow for a line of times."""
_TIME = re.compile(r"(?<=\d):(?=\d{1,2}:\d{1,2}[.,]\d)")
"""The first colon in a time; some readers take any line with two of them for a line of times."""


def render(document: Transcript | Translation, *, speakers: bool = True) -> str:
    """The document as SRT; the empty text when nothing was said. What players take for markup is replaced."""
    made = cues(document, labels=speakers)
    return "\n".join(
        f"{number}\n{clock(cue.start, cue.end, ',')}\n{_defused(cue.text)}\n"
        for number, cue in enumerate(made, start=1)
    )


def _defused(text: str) -> str:
    return _TIME.sub("∶", text.translate(_LOOKALIKES))

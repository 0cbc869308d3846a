"""WebVTT: a speaker is named in every cue, by a voice tag."""

from html import escape

from common.formats.clock import clock
from common.formats.cues import cues
from common.transcript import Cue, Transcript, Translation


def render(document: Transcript | Translation, *, speakers: bool = True) -> str:
    """The document as WebVTT; only the header when nothing was said. Text is escaped, so none of it is markup."""
    made = [f"{clock(cue.start, cue.end, '.')}\n{_payload(cue, speakers=speakers)}\n" for cue in cues(document)]
    return "\n".join(["WEBVTT\n", *made])


def _payload(cue: Cue, *, speakers: bool) -> str:
    text = escape(cue.text, quote=False)
    return f"<v {escape(cue.speaker, quote=False)}>{text}" if speakers and cue.speaker else text

"""What users read: a transcript or a translation as JSON, plain text, SRT or WebVTT, made on demand."""

from collections.abc import Callable, Mapping

from common.formats import srt, txt, vtt
from common.transcript import Transcript, Translation

FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
"""Every format by its name (which is also the file's ending), with its content type."""

_TEXTS: Mapping[str, Callable[..., str]] = {"txt": txt.render, "srt": srt.render, "vtt": vtt.render}


def render(document: Transcript | Translation, format: str, *, speakers: bool = True) -> str:  # noqa: A002 - the word
    r"""Write a document in one of `FORMATS`.

    Parameters
    ----------
    document
        What was heard, or its translation; an empty one gives a valid file without text.
    format
        A name in `FORMATS`; anything else raises `KeyError`.
    speakers
        Whether texts and subtitles name who speaks. JSON is the whole record and always does.

    Returns
    -------
    str
        The file's text, to be encoded as UTF-8, with ``\n`` line ends.
    """
    if format == "json":
        return document.model_dump_json()
    return _TEXTS[format](document, speakers=speakers)


__all__ = ["FORMATS", "render"]

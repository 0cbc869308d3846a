"""A transcript without its words has all that was said, in whichever order it was stored."""

import json

import pytest

from common.spoken_part import read_spoken
from common.testing.blobs import MemoryBlobs
from common.transcript import Paragraph, Transcript, Utterance, Word

SAID = Transcript(
    text='He said ,"words":[ aloud.',
    language="en",
    duration=2.0,
    provider="fake",
    utterances=(Utterance(start=0, end=2, text='He said ,"utterances":[ and ,"words":[ aloud.'),),
    paragraphs=(Paragraph(start=0, end=2, text="He said it aloud."),),
    words=tuple(Word(word="word", start=n, end=n + 1) for n in range(30_000)),
)
WORDS_LAST = ("text", "language", "duration", "provider", "model", "utterances", "paragraphs", "words")
WORDS_FIRST = ("text", "language", "duration", "words", "utterances", "paragraphs", "provider", "model")
"""The order of earlier versions."""


async def _spoken(order: tuple[str, ...], said: Transcript) -> bytes:
    fields = said.model_dump(mode="json")
    blobs = MemoryBlobs()
    raw = json.dumps({name: fields[name] for name in order}, separators=(",", ":")).encode()
    await blobs.write("a/transcript.json", raw)
    return await read_spoken(blobs, "a/transcript.json")


async def test_words_at_the_end_are_left_out():
    read = Transcript.model_validate_json(await _spoken(WORDS_LAST, SAID))
    assert read == SAID.model_copy(update={"words": ()})


async def test_nothing_is_lost_where_the_words_come_first():
    assert Transcript.model_validate_json(await _spoken(WORDS_FIRST, SAID)) == SAID


@pytest.mark.parametrize("order", [WORDS_LAST, WORDS_FIRST])
async def test_silence_is_read_as_silence(order: tuple[str, ...]):
    silent = SAID.model_copy(update={"utterances": (), "paragraphs": (), "words": ()})
    assert Transcript.model_validate_json(await _spoken(order, silent)) == silent

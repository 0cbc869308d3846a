"""Transcripts and translations as TXT, SRT, VTT and JSON, read back by the readers others use."""

import io
import json

import pysubs2
import pytest
import webvtt

from common.formats import FORMATS, render
from common.transcript import Paragraph, Transcript, Translation, Utterance, Word

DIALOGUE = Transcript(
    text="Good morning. Hello, how are you?",
    language="en",
    duration=4.0,
    words=(
        Word(word="Good", start=0.5, end=0.8, speaker="Speaker 1"),
        Word(word="morning.", start=0.8, end=1.4, speaker="Speaker 1"),
        Word(word="Hello,", start=2.0, end=2.4, speaker="Speaker 2"),
        Word(word="how", start=2.5, end=2.7, speaker="Speaker 2"),
        Word(word="are", start=2.7, end=2.8, speaker="Speaker 2"),
        Word(word="you?", start=2.8, end=3.2, speaker="Speaker 2"),
    ),
    utterances=(
        Utterance(start=0.5, end=1.4, text="Good morning.", speaker="Speaker 1"),
        Utterance(start=2.0, end=3.2, text="Hello, how are you?", speaker="Speaker 2"),
    ),
)
SILENCE = Transcript(text="", language="en", duration=3.0)


def one(text: str, speaker: str | None = None) -> Transcript:
    return Transcript(
        text=text, language="en", duration=5.0, utterances=(Utterance(start=1.0, end=4.0, text=text, speaker=speaker),)
    )


def read_srt(text: str) -> pysubs2.SSAFile:
    return pysubs2.SSAFile.from_string(text, format_="srt", keep_unknown_html_tags=True)


def test_srt_is_exactly_this() -> None:
    assert render(DIALOGUE, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,700\nSpeaker 1: Good morning.\n\n"
        "2\n00:00:02,000 --> 00:00:03,500\nSpeaker 2: Hello, how are you?\n"
    )


def test_vtt_is_exactly_this() -> None:
    assert render(DIALOGUE, "vtt") == (
        "WEBVTT\n\n"
        "00:00:00.500 --> 00:00:01.500\n<v Speaker 1>Good morning.\n\n"
        "00:00:02.000 --> 00:00:03.200\n<v Speaker 2>Hello, how are you?\n"
    )


def test_txt_is_exactly_this() -> None:
    assert render(DIALOGUE, "txt") == "Speaker 1: Good morning.\n\nSpeaker 2: Hello, how are you?\n"


@pytest.mark.parametrize("name", ["txt", "srt", "vtt"])
def test_speakers_can_be_left_out(name: str) -> None:
    text = render(DIALOGUE, name, speakers=False)
    assert "Speaker" not in text
    assert "Good morning." in text


def test_srt_names_a_speaker_only_when_it_changes() -> None:
    twice = DIALOGUE.model_copy(
        update={
            "words": (),
            "utterances": (
                *(Utterance(start=i * 3.0, end=i * 3.0 + 2, text=f"Sentence {i}.", speaker="Ann") for i in range(3)),
                Utterance(start=9.0, end=11.0, text="And I.", speaker="Bob"),
            ),
        }
    )
    assert [event.plaintext for event in read_srt(render(twice, "srt"))] == [
        "Ann: Sentence 0.",
        "Sentence 1.",
        "Sentence 2.",
        "Bob: And I.",
    ]
    voices = [caption.voice for caption in webvtt.from_buffer(io.StringIO(render(twice, "vtt")))]
    assert voices == ["Ann", "Ann", "Ann", "Bob"]


def test_readers_find_the_times_and_texts() -> None:
    subtitles = read_srt(render(DIALOGUE, "srt", speakers=False))
    assert [(e.start, e.plaintext) for e in subtitles] == [(500, "Good morning."), (2000, "Hello, how are you?")]
    captions = webvtt.from_buffer(io.StringIO(render(DIALOGUE, "vtt")))
    assert [(c.start_in_seconds, c.text) for c in captions] == [(0, "Good morning."), (2, "Hello, how are you?")]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_nothing_said_gives_a_valid_file_without_text(name: str) -> None:
    text = render(SILENCE, name)
    if name == "srt":
        assert text == ""
        assert len(read_srt(text)) == 0
    elif name == "vtt":
        assert text == "WEBVTT\n"
        assert len(webvtt.from_buffer(io.StringIO(text))) == 0
    elif name == "txt":
        assert text == ""
    else:
        assert Transcript.model_validate_json(text) == SILENCE


HOSTILE = [
    "a --> b",
    "00:00:01.000 --> 00:00:02.000",
    "<script>alert(1)</script>",
    "one\n\ntwo\r\nthree\u2028four",
    "WEBVTT",
    "NOTE this",
    "STYLE",
    "7\n\n00:00:09,000 --> 00:00:10,000\ninjected",
    "{\\an8}top {b}",
    "tom & jerry &lt;b&gt;",
    "</v><v Mallory>me",
    "nul\x00bell\x07esc\x1b[31m",
    "x" * 500,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_srt(text: str) -> None:
    made = render(one(text), "srt")
    assert made.count("-->") == len(read_srt(made))
    assert not any(c in made.replace("-->", "") for c in "<>{}\x00\x07\x1b\u2028")
    shown = "".join("".join(e.text.replace("\\N", " ").split()) for e in read_srt(made))
    expected = "".join(c for c in text.translate(str.maketrans("<>{}", "‹›()")) if c.isprintable() and c != " ")
    assert shown.replace("∶", ":") == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_vtt(text: str) -> None:
    made = render(one(text, speaker="A<b>\n-->\n\nB"), "vtt")
    captions = webvtt.from_buffer(io.StringIO(made))
    assert made.count("-->") == len(captions) > 0
    assert made.count("<") == len(captions), "the voice tags are the only markup"
    assert made.startswith("WEBVTT\n\n")
    assert "\x00" not in made


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_make_lines_in_txt(text: str) -> None:
    assert render(one(text, speaker="A\n\nB"), "txt").count("\n") == 1


def test_paragraphs_come_from_the_transcript_when_it_has_them() -> None:
    document = DIALOGUE.model_copy(
        update={
            "paragraphs": (
                Paragraph(start=0.5, end=1.4, text="Good morning.", speaker="Speaker 1"),
                Paragraph(start=2.0, end=3.2, text="Hello, how are you?", speaker="Speaker 1"),
            )
        }
    )
    assert render(document, "txt") == "Speaker 1: Good morning.\n\nHello, how are you?\n"


def test_a_translation_keeps_the_times_of_its_utterances() -> None:
    translation = Translation(
        text="Buenos días. Hola.",
        language="es",
        source_language="en",
        duration=4.0,
        utterances=(
            Utterance(start=0.5, end=1.4, text="Buenos días."),
            Utterance(start=2.0, end=3.2, text="Hola."),
        ),
    )
    assert [(e.start, e.plaintext) for e in read_srt(render(translation, "srt"))] == [
        (500, "Buenos días."),
        (2000, "Hola."),
    ]
    assert render(translation, "txt") == "Buenos días. Hola.\n"
    assert json.loads(render(translation, "json"))["language"] == "es"


def test_a_text_without_any_times_is_spread_over_the_recording() -> None:
    text = " ".join(f"Sentence number {i} of the text." for i in range(20))
    subtitles = read_srt(render(Transcript(text=text, language="en", duration=60.0), "srt"))
    assert " ".join(e.plaintext.replace("\n", " ") for e in subtitles) == text
    assert subtitles[-1].end <= 61_000


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        render(SILENCE, "docx")

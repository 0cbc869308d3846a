"""What subtitles promise, whatever was said."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.formats.cues import GAP, LONGEST, SHORTEST, cues
from common.formats.lines import LINE, layout, width
from common.transcript import Transcript, Utterance, Word

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "M")), min_size=1, max_size=60)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    clock, words, utterances = 0.0, [], []
    for _ in range(draw(st.integers(0, 6))):
        speaker = draw(st.sampled_from([None, "Speaker 1", "Speaker 2", "N" * 80]))
        clock += draw(st.floats(0, 5))
        first = len(words)
        for _ in range(draw(st.integers(1, 40))):
            length = draw(st.floats(0, 1.5))
            words.append(Word(word=draw(WORDS), start=clock, end=clock + length, speaker=speaker))
            clock += length + draw(st.floats(0, 0.5))
        said = words[first:]
        utterances.append(
            Utterance(start=said[0].start, end=said[-1].end, text=" ".join(word.word for word in said), speaker=speaker)
        )
    return Transcript(
        text=" ".join(u.text for u in utterances),
        language="en",
        duration=clock,
        words=tuple(words) if draw(st.booleans()) else (),
        utterances=tuple(utterances),
    )


def letters(text: str) -> str:
    return "".join(text.split())


@unhurried
@given(transcripts())
def test_every_word_is_shown_once_and_in_order(transcript: Transcript) -> None:
    shown = "".join(letters(cue.text) for cue in cues(transcript))
    assert shown == letters(transcript.text)


@unhurried
@given(transcripts(), st.booleans())
def test_lines_fit_the_screen(transcript: Transcript, labels: bool) -> None:
    for cue in cues(transcript, labels=labels):
        lines = cue.text.split("\n")
        assert len(lines) <= 2
        assert all(line.strip() == line and line for line in lines)
        assert all(width(line) <= LINE for line in lines)


@unhurried
@given(transcripts())
def test_times_are_in_order_and_bounded(transcript: Transcript) -> None:
    made = cues(transcript)
    for cue in made:
        assert cue.start < cue.end <= cue.start + LONGEST + 1e-9
    for before, after in itertools.pairwise(made):
        assert before.start <= after.start
        if after.start > before.start:
            assert before.end <= after.start
            assert before.end - before.start >= min(SHORTEST, after.start - before.start) - 1e-9
            if after.start - before.start >= SHORTEST + GAP:
                assert after.start - before.end >= GAP - 1e-9


@unhurried
@given(transcripts())
def test_nobody_shares_a_subtitle(transcript: Transcript) -> None:
    if transcript.words:
        for cue in cues(transcript):
            inside = {w.speaker for w in transcript.words if cue.start < w.start < cue.end}
            assert inside <= {cue.speaker}


def test_a_long_sentence_is_halved_where_it_breathes() -> None:
    text = (
        "When the rain had stopped at last and the street was dry again, we took the dog and walked down to the river."
    )
    made = cues(Transcript(text=text, language="en", duration=9, utterances=(Utterance(start=0, end=8.0, text=text),)))
    assert [cue.text for cue in made] == [
        "When the rain had stopped at last\nand the street was dry again,",
        "we took the dog and\nwalked down to the river.",
    ]


def test_short_sentences_of_one_speaker_stand_together() -> None:
    said = [("Yes.", 0.0, 0.3), ("No.", 0.4, 0.7), ("Maybe.", 0.8, 1.2)]
    document = Transcript(
        text="Yes. No. Maybe.",
        language="en",
        duration=2,
        words=tuple(Word(word=w, start=s, end=e) for w, s, e in said),
    )
    assert [cue.text for cue in cues(document)] == ["Yes. No. Maybe."]


def test_a_script_without_spaces_is_cut_by_columns() -> None:
    text = "今日はとても良い天気ですから公園まで散歩に行きましょうと彼女は言いました" * 2
    made = cues(
        Transcript(text=text, language="ja", duration=20, utterances=(Utterance(start=0, end=12.0, text=text),))
    )
    assert "".join(letters(cue.text) for cue in made) == text
    assert all(width(line) <= LINE for cue in made for line in cue.text.split("\n"))


def test_a_speaker_stands_with_the_first_words() -> None:
    text = "word " * 60
    document = Transcript(
        text=text, language="en", duration=30, utterances=(Utterance(start=0, end=25.0, text=text, speaker="Ann"),)
    )
    made = cues(document, labels=True)
    assert made[0].text.startswith("Ann: word")
    assert not any("Ann" in cue.text for cue in made[1:])


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["short"], ("short",)),
        (["a" * 30, "b" * 30], ("a" * 30, "b" * 30)),
        (["a" * 42, "b" * 42, "c"], None),
    ],
)
def test_layout(texts: list[str], lines: tuple[str, ...] | None) -> None:
    assert layout(texts, [False] * len(texts)) == lines

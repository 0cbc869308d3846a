"""The transcript is a function of what was heard: not of where the audio was cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from common.transcript import SegmentResult, Transcript, Utterance, Word
from transcriber.merge import UTTERANCE_PAUSE, Merge


def result(index, start, end, words=(), utterances=(), text=None):
    return SegmentResult(
        index=index,
        start=start,
        end=end,
        text=" ".join(w.word for w in words) if text is None else text,
        language="en",
        words=tuple(words),
        utterances=tuple(utterances),
        provider="p",
        model="m",
    )


@st.composite
def speech(draw):
    """Words in time, with pauses of all lengths between them."""
    at, words = 0.0, []
    for text in draw(st.lists(st.sampled_from(["one", "two", "three", "one"]), max_size=40)):
        start = at + draw(st.sampled_from([0.0, 0.05, 0.3, 0.9, 3.0]))
        at = start + draw(st.sampled_from([0.1, 0.4]))
        words.append(Word(word=text, start=round(start, 3), end=round(at, 3), confidence=0.9, speaker=None))
    return words


@st.composite
def cut(draw, words):
    """The words as segments' results, cut between any of them."""
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)) | {0, len(words)})
    if len(cuts) == 1:
        cuts = [0, 0]
    parts = [words[a:b] for a, b in itertools.pairwise(cuts)]
    return [result(i, 0.0, 1000.0, part) for i, part in enumerate(parts)]


def assemble(results, *, language="en", duration=1000.0):
    merge = Merge(language=language, duration=duration)
    for one in results:
        merge.add(one)
    return Transcript.model_validate_json(b"".join(merge.finish()))


@given(st.data())
def test_it_is_stored_as_the_model_itself_would_write_it(data):
    transcript = assemble(data.draw(cut(data.draw(speech()))))
    merge = Merge(language="en", duration=1000.0)
    for one in data.draw(cut(list(transcript.words))):
        merge.add(one)
    assert b"".join(merge.finish()) == transcript.model_dump_json().encode()


@given(st.data())
def test_where_the_audio_was_cut_leaves_no_trace(data):
    words = data.draw(speech())
    assert assemble(data.draw(cut(words))) == assemble([result(0, 0.0, 1000.0, words)])


@given(st.data())
def test_no_word_is_lost_or_doubled_at_a_joint(data):
    words = data.draw(speech())
    transcript = assemble(data.draw(cut(words)))
    assert list(transcript.words) == words
    spoken = [w.word for w in words]
    assert transcript.text.split() == spoken
    assert [w for u in transcript.utterances for w in u.text.split()] == spoken
    assert [w for p in transcript.paragraphs for w in p.text.split()] == spoken


@given(st.data())
def test_an_utterance_ends_at_a_long_pause_and_nowhere_else(data):
    words = data.draw(speech())
    utterances = assemble(data.draw(cut(words))).utterances
    gaps = [b.start - a.end for a, b in itertools.pairwise(words)]
    assert len(utterances) == (sum(gap >= UTTERANCE_PAUSE for gap in gaps) + 1 if words else 0)


def test_utterances_of_the_engine_are_kept_with_their_speakers():
    said = Utterance(start=0, end=1, text="Hello.", speaker="Speaker 1")
    answered = Utterance(start=1.1, end=2, text="Hi.", speaker="Speaker 2")
    words = [Word(word="Hello.", start=0, end=1), Word(word="Hi.", start=1.1, end=2)]
    transcript = assemble([result(0, 0, 2, words, [said, answered], text="Hello. Hi.")])
    assert transcript.utterances == (said, answered)
    assert [p.speaker for p in transcript.paragraphs] == ["Speaker 1", "Speaker 2"]


def test_text_without_times_gets_its_segments_times():
    transcript = assemble([result(0, 0, 30, text="some text"), result(1, 30, 60, text="and more")])
    assert transcript.text == "some text and more"
    assert [(u.start, u.end, u.text) for u in transcript.utterances] == [(0, 30, "some text"), (30, 60, "and more")]


def test_silence_gives_an_empty_transcript():
    transcript = assemble([result(0, 0, 30), result(1, 30, 41)], duration=41.0)
    assert (transcript.text, transcript.words, transcript.utterances, transcript.paragraphs) == ("", (), (), ())
    assert (transcript.duration, transcript.provider, transcript.model) == (41, "p", "m")


def test_languages_without_spaces_are_joined_without_them():
    assert assemble([result(0, 0, 1, text="你好"), result(1, 1, 2, text="世界")], language="zh-TW").text == "你好世界"


def test_a_long_speech_becomes_paragraphs():
    utterances = [Utterance(start=i, end=i + 0.9, text="word " * 40) for i in range(10)]
    transcript = assemble([result(0, 0, 10, utterances=utterances)])
    assert 2 <= len(transcript.paragraphs) <= 5

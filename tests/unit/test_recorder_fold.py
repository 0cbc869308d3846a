"""The fold: one result for stage events in any order and with any repeats, and the first terminal fact stays."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import Event, JobCompleted
from recorder.announcement import announcement
from recorder.fold import fold
from recorder.job import Job
from support.stories import START, Story

STAGES = ("gateway", "transcoder", "transcriber", "translator")


def folded(events: Sequence[Event]) -> Job:
    job = reduce(fold, events, None)
    assert job is not None
    return job


@st.composite
def _progress(draw: st.DrawFn, story: Story) -> Event:
    media = draw(st.none() | st.dictionaries(st.sampled_from(["codec", "channels"]), st.integers(1, 8)))
    return story.progress(
        draw(st.sampled_from(STAGES)),
        draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        at=draw(st.integers(0, 60)),
        detail=draw(st.sampled_from(["", "cutting", "segment 2 of 5", "nul\0led"])),
        duration=draw(st.none() | st.sampled_from([4.4, 4.5])),
        media=media,
    )


@st.composite
def _ending(draw: st.DrawFn, story: Story) -> list[Event]:
    """Facts that do not contradict each other: at most one way to end."""
    kind = draw(st.sampled_from(["under way", "completed", "part of it", "failed", "cancelled"]))
    if kind == "under way":
        return []
    if kind == "failed":
        return [
            story.failed(draw(st.sampled_from(["transcoder", "transcriber", "recorder"])), at=draw(st.integers(5, 70)))
        ]
    if kind == "cancelled":
        return [story.control("cancel", at=draw(st.integers(5, 70)))]
    settled = [
        story.translation(language, at=draw(st.integers(11, 70)))
        if draw(st.booleans())
        else story.failed("translator", language, at=draw(st.integers(11, 70)))
        for language in story.translate
    ]
    kept = settled if kind == "completed" else settled[1:]
    return [story.transcript(at=draw(st.integers(5, 30))), *kept]


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    story = Story(translate=tuple(draw(st.lists(st.sampled_from(["es", "fr", "de"]), unique=True))))
    return [story.upload(), *draw(_ending(story)), *draw(st.lists(_progress(story), max_size=6))]


@given(st.data())
def test_any_order_and_any_repeats_give_one_job(data: st.DataObject) -> None:
    events = data.draw(stories())
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=8))
    assert folded(data.draw(st.permutations(repeated))) == folded(events)


@given(st.data())
def test_the_first_terminal_fact_stays_and_its_announcement_never_changes(data: st.DataObject) -> None:
    story = Story(translate=("es",))
    facts = [
        story.transcript(),
        story.translation("es"),
        story.failed("translator", "es", code="late"),
        story.failed("transcoder"),
        story.failed("transcriber", "3", code="other"),
        story.control("cancel"),
        story.upload(at=3, filename="other.wav"),
        *data.draw(st.lists(_progress(story), max_size=3)),
    ]
    job, ended = fold(None, story.upload()), None
    for event in data.draw(st.permutations(facts + facts)):
        job = fold(job, event)
        if ended is None and job.ended:
            ended = announcement(job)
        if ended is not None:
            assert announcement(job) == ended
            assert announcement(job).id == ended.id
    assert ended is not None


@given(st.data())
def test_a_rebuild_that_hears_the_announcement_first_gives_the_same_job(data: st.DataObject) -> None:
    story = Story(translate=("es", "fr"))
    facts = [
        story.upload(),
        story.transcript(),
        story.translation("es"),
        story.failed("translator", "fr"),
        story.failed("transcoder"),
        story.control("cancel"),
        *data.draw(st.lists(_progress(story), max_size=3)),
    ]
    live = folded(data.draw(st.permutations(facts)))
    told = announcement(live)
    rebuilt = folded([told, *data.draw(st.permutations(facts + facts))])
    assert rebuilt == fold(live, told)
    assert rebuilt.announced


@given(st.data())
def test_what_was_fetched_is_known_whatever_comes_first(data: st.DataObject) -> None:
    story = Story()
    ends: list[list[Event]] = [[], [story.transcript()], [story.failed("transcoder")], [story.control("cancel")]]
    facts = [story.remote_upload(), story.fetched(), story.fetched(1.0, at=2), *data.draw(st.sampled_from(ends))]
    job = folded(data.draw(st.permutations(facts + facts)))
    assert (job.source_blob, job.size, job.sha256) == (story.fetched().source.name, 54_321, "f" * 64)  # type: ignore[union-attr]
    assert job.address == "https://media.example.com/talk.mp3"
    if job.ended:
        told = announcement(job)
        assert (told.address, told.sha256) == (job.address, job.sha256)
        rebuilt = folded([told, *data.draw(st.permutations(facts + facts))])
        assert rebuilt == fold(job, told)


def test_a_job_that_ended_before_its_fetch_was_heard_of_still_learns_what_it_was() -> None:
    story = Story()
    early = folded([story.remote_upload(), story.transcript()])
    assert (early.size, early.sha256, early.source_blob) == (None, None, story.remote_upload().source.name)
    told = announcement(early)
    for order in ([told, story.fetched()], [story.fetched(), told]):
        job = early
        for event in order:
            job = fold(job, event)
        assert (job.sha256, job.announced) == ("f" * 64, True)


def test_an_upload_is_never_taken_for_something_fetched() -> None:
    story = Story()
    for order in ([story.upload(), story.fetched()], [story.fetched(), story.upload()]):
        job = folded(order)
        assert (job.sha256, job.size, job.address) == ("5" * 64, 12_345, None)


def test_status_is_the_furthest_stage_and_its_fraction_never_falls() -> None:
    story = Story()
    job = folded([story.upload(), story.progress("transcriber", 0.2), story.progress("transcoder", 1.0)])
    assert (job.status, job.stage, job.fraction) == ("transcribing", "transcriber", 0.2)
    assert fold(job, story.progress("transcriber", 0.1)).fraction == 0.2


def test_completed_is_the_transcript_and_every_awaited_translation() -> None:
    story = Story(translate=("es", "fr"))
    job = folded([story.upload(), story.transcript(at=10), story.translation("es", at=40)])
    assert job.status == "translating"
    job = fold(job, story.failed("translator", "fr", at=30, code="no_pair"))
    assert (job.status, job.error_code, job.fraction) == ("completed", None, 1.0)
    assert job.finished_at == START + timedelta(seconds=40)
    told = announcement(job)
    assert isinstance(told, JobCompleted)
    es, fr = told.translations
    assert es.translation is not None
    assert fr.error is not None
    assert fr.error.code == "no_pair"


def test_while_others_are_awaited_a_translation_beats_the_word_that_it_failed() -> None:
    story = Story(translate=("es", "fr"))
    facts = [story.failed("translator", "es"), story.translation("es")]
    for order in (facts, facts[::-1]):
        job = folded([story.upload(), story.transcript(), *order])
        assert (job.status, job.outcomes["es"].blob is not None) == ("translating", True)


@pytest.mark.parametrize("stage", ["transcoder", "transcriber", "recorder"])
def test_any_other_stage_that_gives_up_fails_the_job(stage: str) -> None:
    story = Story()
    job = folded([story.upload(), story.failed(stage)])
    assert (job.status, job.error_code, job.finished_at) == ("failed", "no_audio", START + timedelta(seconds=15))


def test_a_transcript_that_comes_after_the_cancelling_is_not_taken() -> None:
    story = Story()
    job = folded([story.upload(), story.control("cancel"), story.transcript(at=20)])
    assert (job.status, job.transcript_blob) == ("cancelled", None)


def test_a_translation_asked_for_later_is_kept_and_not_announced() -> None:
    story = Story()
    job = folded([story.upload(), story.transcript(), story.translation("es", at=900)])
    assert job.outcomes["es"].blob is not None
    assert announcement(job).translations == ()


def test_what_comes_before_the_upload_is_kept_but_not_announced() -> None:
    story = Story()
    early = folded([story.failed("transcoder")])
    assert (early.status, early.created_at, early.to_announce) == ("failed", None, False)
    assert fold(early, story.upload()).to_announce


def test_a_number_that_json_does_not_know_is_left_out_of_media() -> None:
    job = folded([Story().progress("transcoder", 0.1, media={"rate": float("inf"), "channels": 2})])
    assert job.media == {"channels": 2}


def test_of_two_words_about_the_media_the_one_that_says_more_stays() -> None:
    story = Story()
    early, last = {"channels": 2, "codec": "mp3"}, {"audio_sha256": "0", "channels": 2, "codec": "mp3"}
    words = [story.progress("transcoder", 0.5, media=early), story.progress("transcoder", 1.0, media=last)]
    assert folded(words).media == folded(words[::-1]).media == last


def test_only_the_end_of_an_accepted_job_can_be_announced() -> None:
    with pytest.raises(ValueError, match="accepted"):
        announcement(folded([Story().upload()]))

"""The checker of fault runs finds what is planted, and nothing in a history where all went well."""

from dataclasses import replace
from uuid import UUID, uuid5

import pytest

from common.events import (
    BlobRef,
    Event,
    JobCompleted,
    JobFailed,
    SegmentReady,
    SegmentTranscribed,
    TranscriptCompleted,
    UploadReceived,
)
from support.event_samples import SAMPLES
from support.flow import inside, items, resumed, stalls
from support.history import History, Job
from support.paid_calls import Call
from support.topiclog import Logged
from support.verdict import Death, billed_milliseconds, check, unexplained

ID = UUID("0b9d4f0e-5d0f-4c53-9d2f-5c1a3a0f6d02")
NAME = str(ID)


def sample(kind: type[Event], **fields: object) -> Event:
    """The sample of an event, as one of our job."""
    found = next(event for event in SAMPLES if type(event) is kind)
    return found.model_copy(update={"job_id": ID, **fields})


def logged(event: Event, at: float) -> Logged:
    """An event on the third partition of its topic."""
    return Logged(event, event.topic, 3, int(at * 10), at)


def job(*, at: float = 1.0) -> list[Logged]:
    """What a job of two segments leaves in the log, a second between two steps."""
    cuts = [sample(SegmentReady, index=index, count=2) for index in (0, 1)]
    heard = [sample(SegmentTranscribed, index=index, count=2) for index in (0, 1)]
    return [
        logged(sample(UploadReceived), at),
        *(logged(cut, at + 1) for cut in cuts),
        *(logged(one, at + 2) for one in heard),
        logged(sample(TranscriptCompleted), at + 3),
        logged(sample(JobCompleted), at + 4),
    ]


@pytest.fixture
def history() -> History:
    ending = str(sample(JobCompleted).id)
    row = Job("completed", segments=2, usage=2, billed=3_000, utterances=[0, 1, 2])
    return History([NAME], {NAME: row}, job(), {ending: {"one body"}})


def test_nothing_is_found_where_all_went_well(history: History) -> None:
    assert check(history).clean
    assert history.redelivered() == 0
    history.log += job(at=2.0)
    assert check(history).clean, "what comes again as it was is allowed"
    assert history.redelivered() == 1 + 1 + 2 + 1 + 1, "the upload, its cuts together, two results, two endings"


def test_what_is_planted_is_found(history: History) -> None:
    row = history.jobs[NAME]
    other = uuid5(ID, "other")
    moved = sample(SegmentReady, index=1, count=2, audio=BlobRef(name="users/operator/audio/another.wav"))
    planted = {
        "lost": replace(history, jobs={}),
        "unfinished": replace(history, jobs={NAME: replace(row, status="transcribing")}),
        "phantom": replace(history, jobs={NAME: row, str(other): row}),
        "two_endings": replace(history, log=[*history.log, logged(sample(JobFailed), 6.0)]),
        "unannounced": replace(history, log=history.log[:-1]),
        "undelivered": replace(history, delivered={"another": {"body"}}),
        "two_bodies": replace(history, delivered={key: {"one", "two"} for key in history.delivered}),
        "two_contents": replace(history, log=[*history.log, logged(moved, 6.0)]),
        "not_one_set": replace(history, jobs={NAME: replace(row, utterances=[0, 2])}),
        "misbilled": replace(history, jobs={NAME: replace(row, usage=3)}),
        "reordered": replace(history, log=sorted([*history.log[1:], logged(sample(UploadReceived), 9.0)], key=_at)),
    }
    for name, run in planted.items():
        assert getattr(check(run), name), name
    assert check(replace(history, delivered={})).undelivered, "nothing at all was delivered"
    assert check(replace(history, jobs={NAME: replace(row, utterances=[])})).not_one_set, "no row has what was said"


def test_only_a_death_in_mid_call_excuses_a_second_payment() -> None:
    first = Call("audio", 1.5, [], {}, started=10.0, ended=11.0, outcome="cut", payer="transcriber-1")
    again = Call("audio", 1.5, [], {}, started=20.0, ended=21.0, outcome="answered", payer="transcriber-2")
    assert unexplained([first, again], [])
    assert unexplained([first, again], [Death("transcriber-2", started=0.0, at=10.5)]), "another one died"
    assert unexplained([first, again], [Death("transcriber-1", started=0.0, at=13.0)]), "it died later"
    assert unexplained([first, again], [Death("transcriber-1", started=10.4, at=10.5)]), "it was not born yet"
    assert not unexplained([again, first], [Death("transcriber-1", started=0.0, at=10.5)])
    assert not unexplained([first], [])


def test_every_piece_is_billed_once(history: History) -> None:
    calls = [Call(audio, 1.5, [], {}, started=0.0) for audio in ("one", "two", "two")]
    assert billed_milliseconds(replace(history, calls=calls)) == (3_000, 3_000)


def test_times_of_stages_follow_from_the_log(history: History) -> None:
    found = items(history.log)
    assert [(item.place[0], item.entered, item.left) for item in found] == [
        ("transcode", 1.0, 2.0),
        ("recognise", 2.0, 3.0),
        ("recognise", 2.0, 3.0),
        ("assemble", 3.0, 4.0),
        ("record", 4.0, 5.0),
    ]
    early = [one for one in history.log if not isinstance(one.event, TranscriptCompleted)]
    assembled = logged(sample(TranscriptCompleted), 2.5)
    assert max(stalls(items(sorted([*early, assembled], key=_at))).values()) <= 2.5, "assembled before the last event"
    assert inside(found, ["recognise"], 2.5) == 2
    place = found[1].place
    later = [replace(found[1], entered=6.0, left=9.0), replace(found[1], entered=7.0, left=8.0)]
    assert stalls([*found, *later])[place] == 2.0
    assert resumed([*found, *later], place, 5.0) == 3.0
    assert resumed([*found, *later], place, 5.0, [1.0, 5.0, 8.5]) == 3.0
    assert resumed([*found, *later], place, 5.0, [5.0, 7.5]) is None, "the next holder may have had it when it died"
    assert resumed(found, place, 5.0) is None


def _at(one: Logged) -> float:
    return one.at

"""What a client sees of a job never goes backwards."""

from datetime import timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from common.events import (
    BlobRef,
    ErrorInfo,
    Event,
    StageFailed,
    StageProgress,
    TranscriptCompleted,
    TranslationCompleted,
    UploadReceived,
    now,
)
from common.options import JobOptions, SegmentPlan
from gateway.models import Job
from gateway.progress import Position, advance, at_least

JOB = uuid4()
START = now()


def accepted(*languages: str) -> Job:
    return Job.accepted(
        UploadReceived(
            job_id=JOB,
            owner="operator",
            time=START,
            source=BlobRef(name="x", size=1),
            sha256="0" * 64,
            options=JobOptions(translate=languages),
            plan=SegmentPlan(provider="pocketsphinx"),
        )
    )


def progress(stage: str, fraction: float) -> StageProgress:
    return StageProgress(
        job_id=JOB, owner="operator", stage=stage, fraction=fraction, time=START + timedelta(seconds=1)
    )


def transcribed(*languages: str) -> TranscriptCompleted:
    return TranscriptCompleted(
        job_id=JOB,
        owner="operator",
        transcript=BlobRef(name="t"),
        text="hello",
        language="en",
        duration=2.5,
        words=1,
        segments=1,
        provider="pocketsphinx",
        translations=languages,
    )


EVENTS = st.one_of(
    st.builds(
        progress,
        st.sampled_from(["gateway", "transcoder", "transcriber", "translator"]),
        st.floats(min_value=0, max_value=1),
    ),
    st.just(transcribed()),
    st.just(transcribed("es")),
)


@given(st.lists(EVENTS, max_size=30))
def test_any_order_of_events_only_goes_forwards(events: list[Event]) -> None:
    job = accepted("es")
    for event in events:
        after = advance(job, event)
        assert Position.of(after) >= Position.of(job)
        job = after


def test_each_stage_has_its_status() -> None:
    job = advance(accepted(), progress("transcoder", 0.5))
    assert (job.status, job.stage, job.fraction) == ("transcoding", "transcoder", 0.5)
    assert job.updated_at == START + timedelta(seconds=1)
    job = advance(job, progress("transcriber", 0.25))
    assert str(Position.of(job)) == "2-0.2500"
    assert advance(job, progress("transcoder", 0.9)) is job


def test_a_transcript_brings_its_facts_and_the_next_stage() -> None:
    alone = advance(accepted(), transcribed())
    assert (alone.status, alone.fraction, alone.words, alone.duration) == ("transcribing", 1.0, 1, 2.5)
    followed = advance(accepted("es"), transcribed("es"))
    assert (followed.status, followed.fraction) == ("translating", 0.0)


def test_translations_are_done_or_fail_by_name() -> None:
    job = advance(accepted("es", "de"), transcribed("es", "de"))
    done = TranslationCompleted(
        job_id=JOB, owner="operator", language="es", translation=BlobRef(name="e"), text="hola", translator="apertium"
    )
    failed = StageFailed(
        job_id=JOB,
        owner="operator",
        stage="translator",
        failed_part="de",
        error=ErrorInfo(code="no_pair", message="No English to German here."),
    )
    job = advance(advance(job, done), failed)
    assert [(t.language, t.status) for t in job.translations] == [("es", "completed"), ("de", "failed")]
    assert job.translations[1].error == failed.error


def test_an_ended_job_stays_as_it_is() -> None:
    ended = accepted().model_copy(update={"status": "completed"})
    assert advance(ended, progress("translator", 1.0)) is ended


def test_a_lagging_row_is_lifted_to_what_was_seen() -> None:
    lifted = at_least(accepted(), Position.parse("2-0.5000"))
    assert (lifted.status, lifted.fraction) == ("transcribing", 0.5)
    ahead = advance(accepted(), progress("translator", 0.1))
    assert at_least(ahead, Position.parse("2-0.5000")) is ahead


def test_a_foreign_last_event_id_is_the_beginning() -> None:
    for text in (None, "", "garbage", "9-0.5000", "2-0.5", "2-0.50000"):
        assert Position.parse(text) == Position(-1, 0.0)
    assert Position.parse("4-1.0000") == Position(4, 1.0)

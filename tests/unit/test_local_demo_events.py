"""Each event as one line for people."""

from datetime import UTC, datetime
from uuid import UUID

from common import events
from common.bus.follow import Followed
from common.options import SegmentPlan
from scribewire_local.demo_events import lines

JOB = UUID("9b641829-0000-4000-8000-000000000000")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def followed(event: events.Event) -> Followed:
    return Followed(event, event.topic, 0, 0, event.key, ())


def test_an_event_is_told_in_a_line_and_progress_in_one() -> None:
    blob = events.BlobRef(name="b", size=1234)
    told = lines(
        [
            followed(
                events.UploadReceived(
                    job_id=JOB,
                    owner="operator",
                    source=blob,
                    filename="a.wav",
                    sha256="0",
                    plan=SegmentPlan(provider="pocketsphinx"),
                )
            ),
            followed(
                events.TranscriptCompleted(
                    job_id=JOB,
                    owner="operator",
                    transcript=blob,
                    text="so it\nbegins " * 20,
                    language="en",
                    duration=1.0,
                    words=60,
                    segments=1,
                    provider="pocketsphinx",
                )
            ),
            *[
                followed(events.StageProgress(job_id=JOB, owner="operator", stage="transcoder", fraction=n / 10))
                for n in range(3)
            ],
            followed(
                events.JobFailed(
                    job_id=JOB,
                    owner="operator",
                    created_at=AT,
                    filename="a.wav",
                    error=events.ErrorInfo(code="not_media", message="m"),
                )
            ),
        ]
    )
    assert len(told) == 4
    assert told[0].split() == [
        "upload.received.interactive",
        "9b641829",
        "a.wav,",
        "1,234",
        "bytes,",
        "for",
        "pocketsphinx",
    ]
    assert "60 words" in told[1]
    assert told[1].endswith("…”")
    assert "\n" not in told[1]
    assert told[2].split() == ["job.failed", "9b641829", "a.wav,", "not_media"]
    assert told[3].split() == ["stage.progress", "3", "reports"]

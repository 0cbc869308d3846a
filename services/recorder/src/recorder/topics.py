"""Which events the recorder records, live and in a rebuild."""

from common.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobControl,
    JobFailed,
    StageFailed,
    StageProgress,
    TranscriptCompleted,
    TranslationCompleted,
    UploadReceived,
    UsageRecorded,
)

LIVE: tuple[type[Event], ...] = (
    UploadReceived,
    StageProgress,
    StageFailed,
    TranscriptCompleted,
    TranslationCompleted,
    UsageRecorded,
    JobControl,
)
"""What others say."""

DECIDED: tuple[type[Event], ...] = (JobCompleted, JobFailed, JobCancelled, JobControl)
"""What a rebuild reads before the rest: how jobs ended as it was announced, and what users said about them."""

TOLD = tuple(event for event in LIVE if event not in DECIDED)
"""What a rebuild reads afterwards."""

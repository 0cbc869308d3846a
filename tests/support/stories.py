"""Stories of jobs: the events that a job's stages would publish, for tests of whoever reads them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from common import layout
from common.events import (
    BlobRef,
    ErrorInfo,
    JobControl,
    StageFailed,
    StageProgress,
    TranscriptCompleted,
    TranslationCompleted,
    UploadReceived,
    UsageRecorded,
)
from common.options import JobOptions, SegmentPlan

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Story:
    """One job; each method is one event of it. ``at`` counts seconds from when the story begins."""

    job: UUID = field(default_factory=uuid4)
    owner: str = "operator"
    translate: tuple[str, ...] = ()

    def upload(self, at: float = 0, **fields: Any) -> UploadReceived:
        """The upload."""
        defaults: dict[str, Any] = {
            "source": BlobRef(name=layout.original(self.owner, self.job, "5" * 64), size=12_345),
            "filename": "talk.wav",
            "content_type": "audio/wav",
            "sha256": "5" * 64,
            "options": JobOptions(translate=self.translate),
            "plan": SegmentPlan(provider="pocketsphinx"),
        }
        return UploadReceived(**self._who(at), **(defaults | fields))

    def remote_upload(self, at: float = 0, **fields: Any) -> UploadReceived:
        """The acceptance of an address."""
        defaults: dict[str, Any] = {
            "source": BlobRef(name=layout.address(self.owner, self.job, "a" * 64)),
            "filename": "talk.mp3",
            "content_type": None,
            "sha256": "a" * 64,
            "remote": True,
            "address": "https://media.example.com/talk.mp3",
        }
        return self.upload(at, **(defaults | fields))

    def fetched(self, fraction: float = 0.0, at: float = 1) -> StageProgress:
        """The transcoder's word of what it fetched."""
        source = BlobRef(name=layout.original(self.owner, self.job, "f" * 64), size=54_321)
        return self.progress("transcoder", fraction, at, source=source, sha256="f" * 64)

    def progress(self, stage: Any, fraction: float, at: float = 1, **fields: Any) -> StageProgress:
        """A stage's progress."""
        return StageProgress(**self._who(at), stage=stage, fraction=fraction, **fields)

    def transcript(self, at: float = 10, **fields: Any) -> TranscriptCompleted:
        """The transcript."""
        defaults: dict[str, Any] = {
            "transcript": BlobRef(name=layout.transcript(self.owner, self.job)),
            "text": "hello world",
            "language": "en",
            "duration": 4.5,
            "words": 2,
            "segments": 1,
            "provider": "pocketsphinx",
            "translations": self.translate,
        }
        return TranscriptCompleted(**self._who(at), **(defaults | fields))

    def translation(self, language: str, at: float = 20) -> TranslationCompleted:
        """A translation."""
        blob = BlobRef(name=layout.translation(self.owner, self.job, language))
        return TranslationCompleted(
            **self._who(at), language=language, translation=blob, text="hola mundo", translator="apertium"
        )

    def failed(self, stage: Any, part: str = "", at: float = 15, code: str = "no_audio") -> StageFailed:
        """A stage that gave up."""
        error = ErrorInfo(code=code, message=f"{stage} gave up: {code}")
        return StageFailed(**self._who(at), stage=stage, failed_part=part, error=error)

    def control(self, action: Any, at: float = 12) -> JobControl:
        """A user's word."""
        return JobControl(**self._who(at), action=action)

    def usage(self, at: float = 9, **fields: Any) -> UsageRecorded:
        """A billable act."""
        defaults: dict[str, Any] = {
            "usage_id": uuid4(),
            "service": "transcription",
            "provider": "deepgram",
            "endpoint": "listen",
            "model": "nova-3",
            "audio_seconds": 4.5,
            "cost_usd": 0.0003,
        }
        return UsageRecorded(**self._who(at), **(defaults | fields))

    def _who(self, at: float) -> dict[str, Any]:
        return {"job_id": self.job, "owner": self.owner, "time": START + timedelta(seconds=at)}

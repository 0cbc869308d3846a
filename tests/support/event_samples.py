"""One event of each type with every field set, always the same: what the golden files show."""

from datetime import UTC, datetime
from uuid import UUID

from common import events
from common.events import BlobRef, ErrorInfo, Event
from common.options import JobOptions, SegmentPlan

JOB = UUID("0b9d4f0e-5d0f-4c53-9d2f-5c1a3a0f6d01")
EARLIER = UUID("4a2d7c1e-8b3f-4c6a-9d10-7e5f2b8c9a01")
TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
FOLDER = f"users/operator/transcripts/{JOB}"
OPTIONS = JobOptions(
    language="en-GB",
    provider="deepgram",
    model="nova-3",
    translate=("es", "pt-BR"),
    translator="apertium",
    diarize=True,
    speakers=2,
    punctuate=False,
    profanity="masked",
    keyterms=("Scribewire", "Kafka"),
    priority="bulk",
    deadline=TIME,
    callback_url="https://example.com/hook",
    reuse=False,
    plugins=("noise_reduction", "loudness"),
    audio_format="flac",
)
COMMON = {"job_id": JOB, "owner": "operator", "lane": "bulk", "attempt": 2, "time": TIME}
ORIGINAL = BlobRef(name=f"users/operator/originals/{JOB}/{SHA}", size=1_234_567)
TRANSCRIPT = BlobRef(name=f"{FOLDER}/transcript.json", size=4321)
TERMINAL = {
    "created_at": TIME,
    "source": ORIGINAL,
    "address": "https://media.example.com/talks/interview.mp3",
    "filename": "Interview – Zoë.mp3",
    "content_type": "audio/mpeg",
    "sha256": SHA,
    "options": OPTIONS,
    "duration": 61.25,
    "language": "en-GB",
    "words": 153,
    "segments": 1,
    "provider": "deepgram",
    "model": "nova-3",
    "transcript": TRANSCRIPT,
    "translations": (
        events.TranslationOutcome(
            language="es", translation=BlobRef(name=f"{FOLDER}/translation.es.json", size=4400), translator="apertium"
        ),
        events.TranslationOutcome(
            language="pt-BR", error=ErrorInfo(code="no_pair", message="Apertium has no pair English to Portuguese.")
        ),
    ),
    "error": ErrorInfo(code="no_audio", message="The file has no audio track."),
    "reused_from": EARLIER,
}

SAMPLES: tuple[Event, ...] = (
    events.UploadReceived.model_validate(
        {
            **COMMON,
            "source": ORIGINAL,
            "filename": "Interview – Zoë.mp3",
            "content_type": "audio/mpeg",
            "sha256": SHA,
            "options": OPTIONS,
            "plan": SegmentPlan(provider="deepgram", max_seconds=None),
            "idempotent": True,
            "same_as": EARLIER,
            "remote": True,
            "address": "https://media.example.com/talks/interview.mp3",
        }
    ),
    events.SegmentReady.model_validate(
        {
            **COMMON,
            "index": 3,
            "count": 12,
            "start": 901.5,
            "end": 1190.25,
            "audio": BlobRef(name=f"users/operator/audio/{JOB}/00003.wav", size=9_240_044),
            "provider": "deepgram",
            "options": OPTIONS,
            "places": ((12.5, 918.25), (100.0, 1009.125)),
        }
    ),
    events.SegmentTranscribed.model_validate(
        {**COMMON, "index": 3, "count": 12, "result": BlobRef(name=f"{FOLDER}/segments/00003.json", size=2048)}
    ),
    events.TranscriptCompleted.model_validate(
        {
            **COMMON,
            "transcript": TRANSCRIPT,
            "text": "Good morning, Zoë. “Shall we?”",
            "truncated": True,
            "language": "en-GB",
            "duration": 61.25,
            "words": 153,
            "segments": 1,
            "provider": "deepgram",
            "model": "nova-3",
            "translations": ("es", "pt-BR"),
            "reused_from": EARLIER,
            "detected_language": "en",
        }
    ),
    events.TranslationRequested.model_validate(
        {
            **COMMON,
            "language": "es",
            "source_language": "en-GB",
            "transcript": TRANSCRIPT,
            "translator": "apertium",
        }
    ),
    events.TranslationCompleted.model_validate(
        {
            **COMMON,
            "language": "es",
            "translation": BlobRef(name=f"{FOLDER}/translation.es.json", size=4400),
            "text": "Buenos días, Zoë.",
            "truncated": True,
            "translator": "apertium",
            "model": "eng-spa",
        }
    ),
    events.StageProgress.model_validate(
        {
            **COMMON,
            "stage": "transcoder",
            "fraction": 0.5,
            "detail": "cutting at silence",
            "duration": 61.25,
            "media": {"codec": "mp3", "channels": 2, "bit_rate": 128_000.5},
            "source": ORIGINAL,
            "sha256": SHA,
        }
    ),
    events.StageFailed.model_validate(
        {
            **COMMON,
            "stage": "translator",
            "failed_part": "pt-BR",
            "error": ErrorInfo(code="no_pair", message="Apertium has no pair English to Portuguese."),
            "delivery_attempts": 8,
        }
    ),
    events.JobCompleted.model_validate({**COMMON, **TERMINAL}),
    events.JobFailed.model_validate({**COMMON, **TERMINAL}),
    events.JobCancelled.model_validate({**COMMON, **TERMINAL}),
    events.JobControl.model_validate({**COMMON, "action": "cancel"}),
    events.UsageRecorded.model_validate(
        {
            **COMMON,
            "usage_id": UUID("5f0c6a1e-0000-5000-8000-000000000001"),
            "service": "transcription",
            "provider": "deepgram",
            "endpoint": "/v1/listen",
            "model": "nova-3",
            "audio_seconds": 61.25,
            "tokens": 17,
            "cost_usd": 0.0044,
        }
    ),
    events.ProofDeleted.model_validate({**COMMON, "account": True, "jobs": 3, "blobs": 5, "rows": 7, "tombstones": 2}),
)

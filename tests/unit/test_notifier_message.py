"""What is sent, when it is sent again, and how it is signed: the pure parts of the notifier."""

import base64
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from common.events import BlobRef, ErrorInfo, JobCompleted, JobFailed
from common.options import JobOptions
from notifier.message import body
from notifier.schedule import JITTER, WAITS, next_wait
from notifier.secret import callback_secret
from notifier.settings import SigningSettings

JOB = UUID("11111111-2222-4333-8444-555555555555")
AT = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


def test_a_completed_jobs_message() -> None:
    event = JobCompleted(
        job_id=JOB,
        owner="operator",
        time=AT,
        created_at=datetime(2026, 11, 21, 9, 59, 0, 500000, tzinfo=UTC),
        filename="Grüße\x00.wav",
        options=JobOptions(callback_url="https://example.com/x"),
        duration=12.5,
        language="en",
        words=30,
        transcript=BlobRef(name="users/operator/transcripts/x/transcript.json"),
    )
    text = body(event)
    assert text.isascii(), "PostgreSQL takes no NUL, and receivers differ in encodings"
    assert json.loads(text) == {
        "type": "job.completed",
        "timestamp": "2026-11-21T10:00:00Z",
        "data": {
            "id": str(JOB),
            "status": "completed",
            "filename": "Grüße\x00.wav",
            "language": "en",
            "duration": 12.5,
            "words": 30,
            "error": None,
            "created_at": "2026-11-21T09:59:00.500000Z",
            "transcript": f"/v1/jobs/{JOB}/transcript",
        },
    }
    assert body(event.model_copy()) == text


def test_a_failed_jobs_message_says_why() -> None:
    event = JobFailed(
        job_id=JOB, owner="operator", time=AT, created_at=AT, error=ErrorInfo(code="no_audio", message="No audio.")
    )
    data = json.loads(body(event))["data"]
    assert (data["status"], data["transcript"]) == ("failed", None)
    assert data["error"] == {"code": "no_audio", "message": "No audio."}


def test_ten_attempts_in_three_days() -> None:
    assert sum(WAITS) == pytest.approx(75.5 * 3600, rel=0.01)
    chance = random.Random(1)
    for failures, wait in enumerate(WAITS, start=1):
        some = [next_wait(failures, chance=chance) for _ in range(200)]
        assert all(s is not None and wait * (1 - JITTER) <= s <= wait * (1 + JITTER) for s in some)
        assert len(set(some)) > 100
    assert next_wait(len(WAITS) + 1) is None
    assert next_wait(len(WAITS) + 1, asked=5) is None


def test_who_asks_for_more_time_gets_it_within_reason() -> None:
    assert next_wait(1, asked=120) == 120
    assert next_wait(1, asked=10**9) == 86400
    assert next_wait(2, asked=1) >= 300 * (1 - JITTER)


def test_the_callback_secret_comes_from_the_key(tmp_path: Path) -> None:
    key = tmp_path / "operator.key"
    key.write_text("k" * 40 + "\n")
    secret = callback_secret(SigningSettings(operator_key_file=key, _env_file=None))
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert "k" * 8 not in secret
    key.write_text("k" * 40)
    assert callback_secret(SigningSettings(operator_key_file=key, _env_file=None)) == secret
    key.write_text("j" * 40)
    assert callback_secret(SigningSettings(operator_key_file=key, _env_file=None)) != secret


def test_a_configured_secret_wins_and_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCRIBEWIRE_OPERATOR_KEY_FILE", raising=False)
    assert callback_secret(SigningSettings(webhook_secret="whsec_YWJj", _env_file=None)) == "whsec_YWJj"
    with pytest.raises(ValueError, match="SCRIBEWIRE_WEBHOOK_SECRET"):
        callback_secret(SigningSettings(_env_file=None))

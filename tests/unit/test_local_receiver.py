"""The demo's receiver takes what is signed rightly and nothing else."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from scribewire_local.demo_receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("secret", "age", "status"), [(SECRET, 0, 204), (SECRET, 4000, 401), ("whsec_" + "A" * 32, 0, 401)]
)
def test_signatures_are_checked(secret: str, age: int, status: int) -> None:
    body = json.dumps({"type": "job.completed"})
    stamp = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "webhook-id": "one",
        "webhook-timestamp": str(int(time.time()) - age),
        "webhook-signature": Webhook(secret).sign("one", stamp, body),
    }
    with Receiver() as receiver:
        receiver.secret = SECRET
        for _ in range(2):
            answer = httpx.post(receiver.url, content=body, headers=headers)
            assert answer.status_code == status
        assert list(receiver.inbox.verified) == (["one"] if status == 204 else [])
        assert receiver.inbox.refused == (0 if status == 204 else 2)


def test_nothing_is_verified_before_the_secret_is_known() -> None:
    stamp = str(int(time.time()))
    # What somebody would sign who guesses that the secret is still empty.
    guess = base64.b64encode(hmac.new(b"", f"one.{stamp}.{{}}".encode(), hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "one", "webhook-timestamp": stamp, "webhook-signature": f"v1,{guess}"}
    with Receiver() as receiver:
        assert httpx.post(receiver.url, content=b"{}", headers=headers).status_code == 401

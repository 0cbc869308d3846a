"""The demo's webhook receiver: checks each signature as Standard Webhooks says and keeps what was right."""

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from scribewire_local.ports import HOST

_TOLERANCE_SECONDS = 300


@dataclass
class Inbox:
    """What came in so far."""

    verified: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Bodies whose signature was right, by webhook id: one that is sent twice counts once."""
    refused: int = 0
    """How many had a wrong signature."""


class Receiver:
    """An HTTP server on the loopback address; set `secret` once the address is registered."""

    def __init__(self) -> None:
        self.secret = ""
        self.inbox = Inbox()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                right = verify(receiver.secret, dict(self.headers.items()), body)
                if right:
                    receiver.inbox.verified[self.headers["webhook-id"]] = json.loads(body)
                else:
                    receiver.inbox.refused += 1
                self.send_response(204 if right else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the parent's
                return

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Address to register."""
        return f"http://{HOST}:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures of a Standard Webhooks message is right and the message is fresh."""
    lower = {name.lower(): value for name, value in headers.items()}
    identity, stamp = lower.get("webhook-id", ""), lower.get("webhook-timestamp", "")
    if not secret or not stamp.isdigit() or abs(time.time() - int(stamp)) > _TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    return any(hmac.compare_digest(expected, given) for given in lower.get("webhook-signature", "").split())

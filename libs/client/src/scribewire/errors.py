"""What can go wrong between a program and the gateway, each with its exit code."""

from collections.abc import Mapping
from typing import Any


class ScribewireError(Exception):
    """Anything the client reports; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class NotConfigured(ScribewireError):  # noqa: N818 - named for the state, not the class
    """No gateway address or no key is known."""

    exit_code = 3


class Unreachable(ScribewireError):  # noqa: N818 - named for the state, not the class
    """The gateway did not answer."""

    exit_code = 4


class Problem(ScribewireError):  # noqa: N818 - RFC 9457's word
    """The gateway refused: an RFC 9457 problem document.

    Attributes
    ----------
    status
        The HTTP status.
    document
        The whole problem document.
    retry_after
        Seconds the gateway asked to wait, or None.
    """

    def __init__(self, status: int, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.document = document
        self.retry_after = retry_after
        if status in {401, 403}:
            self.exit_code = 3
        elif status in {413, 415, 422}:
            self.exit_code = 2
        fields = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in document.get("errors", ()))
        detail = document.get("detail") or document.get("title") or "no detail given"
        super().__init__(f"{detail} ({fields})" if fields else str(detail))


class JobFailed(ScribewireError):  # noqa: N818 - the event's name
    """A job ended without a transcript; ``code`` and the message are the job's own error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

"""What can go wrong between a program and the gateway, each with its exit code."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx


class ScribewireError(Exception):
    """Anything the client reports; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class NotConfigured(ScribewireError):  # noqa: N818 - named for the state, not the class
    """No gateway address or no key is known."""

    exit_code = 3


class LoggedOut(ScribewireError):  # noqa: N818 - named for the state, not the class
    """The login has ended: logged out, too old, or its refresh token was used by somebody else."""

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
    kind
        The last word of the document's type, such as ``job-deleted``; empty where it has none.
    retry_after
        Seconds the gateway asked to wait, or None.
    """

    def __init__(self, status: int, document: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.document = document
        self.kind = str(document.get("type") or "").rpartition(":")[2].rpartition("/")[2]
        self.retry_after = retry_after
        if status in {401, 403}:
            self.exit_code = 3
        elif status in {413, 415, 422}:
            self.exit_code = 2
        fields = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in document.get("errors") or ())
        detail = document.get("detail") or document.get("title") or "no detail given"
        super().__init__(f"{detail} ({fields})" if fields else str(detail))

    @classmethod
    def of(cls, response: httpx.Response) -> "Problem":
        """The problem in an answer whose body is read; any other body is told by its status."""
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {"title": f"the gateway answered {response.status_code}"}
        return cls(response.status_code, document, seconds_of(response.headers.get("Retry-After", "")))


class NotOffered(ScribewireError):  # noqa: N818 - named for the state
    """The gateway, or a proxy before it, does not know resumable uploads."""


class FileChanged(ScribewireError):  # noqa: N818 - named for what happened
    """A file was written to while it was sent."""

    def __init__(self, message: str = "the file changed while it was read: is it still being written?") -> None:
        super().__init__(message)


class JobFailed(ScribewireError):  # noqa: N818 - the event's name
    """A job ended without a transcript; ``code`` and the message are the job's own error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def seconds_of(retry_after: str) -> float | None:
    """The seconds that a ``Retry-After`` header names, as a number or as a date; None for anything else."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        named = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    # A date without a zone is GMT, as all dates of HTTP are.
    named = named if named.tzinfo else named.replace(tzinfo=UTC)
    return max(0.0, (named - datetime.now(UTC)).total_seconds())

"""What answers about uploads have in common: where one is, and how it stands."""

from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

from aiohttp import web

from gateway.callers import Callers
from gateway.uploads.headers import PATH
from gateway.uploads.models import Finished, Upload


class Addresses:
    """Absolute addresses of uploads: some clients cannot go on from a relative one.

    Parameters
    ----------
    base
        What they begin with; None for the address by which a request came, and the scheme that its proxy passed on.
    callers
        Knows the proxies that are believed.
    """

    def __init__(self, base: str | None, callers: Callers) -> None:
        self._base = base
        self._callers = callers

    def of(self, request: web.Request, upload: UUID) -> str:
        """Where a client goes on with an upload."""
        base = self._base or f"{self._callers.scheme(request)}://{request.host}"
        return f"{base}{PATH}/{upload}"


def describe_end(answer: web.Response, upload: Upload, finished: Finished | None, expires: datetime) -> web.Response:
    """Add which job the upload has become, or until when it is kept unless bytes come."""
    if finished is None:
        answer.headers.setdefault("Upload-Expires", date(expires))
    elif finished.event is not None:
        answer.headers["Scribewire-Job"] = str(upload.job_id)
        answer.headers.popall("Upload-Expires", None)
    return answer


def date(when: datetime) -> str:
    """A time as headers have it."""
    return format_datetime(when.astimezone(UTC), usegmt=True)

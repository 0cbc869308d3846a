"""Who may call from a web page: CORS as the Fetch standard has it, closed unless origins are configured."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from aiohttp import web

EXPOSED = (
    *("Location", "ETag", "Content-Disposition", "Retry-After", "RateLimit", "RateLimit-Policy", "Scribewire-Job"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *("Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires", "Upload-Concat"),
)
"""Headers of answers that a page may read beside those that it always may."""

TAKEN = (
    *("Authorization", "x-api-key", "Content-Type", "Idempotency-Key", "X-Filename", "Last-Event-ID", "If-None-Match"),
    *("Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat"),
    *("Upload-Checksum", "X-HTTP-Method-Override", "X-Request-ID"),
)
"""Headers that a page may send."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

MAX_AGE = "7200"
"""Seconds a browser remembers the answer to a preflight; no browser takes more than a day, and Chromium two hours."""


class Cors:
    """Answers preflights, which come without a key, and marks every answer to an origin that is let in.

    Parameters
    ----------
    origins
        Exact origins such as ``https://app.example.com``, or ``*`` alone for every one.
    credentials
        Whether cookies and the like may come along; nothing here needs it, and not with ``*``.

    Raises
    ------
    ValueError
        For something that is no origin, and for ``*`` with others or with credentials.
    """

    def __init__(self, origins: Iterable[str] = (), *, credentials: bool = False) -> None:
        self._origins = frozenset(_origin(origin) for origin in origins)
        self._any = "*" in self._origins
        if self._any and (len(self._origins) > 1 or credentials):
            msg = "CORS_ORIGINS: * stands alone, and never with credentials"
            raise ValueError(msg)
        self._credentials = credentials

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to an allowed origin's preflight for any address; None for everything else."""
        if (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and self._allows(request) is not None
        ):
            return web.Response(
                status=204,
                headers={
                    "Access-Control-Allow-Methods": ", ".join(METHODS),
                    "Access-Control-Allow-Headers": ", ".join(TAKEN),
                    "Access-Control-Max-Age": MAX_AGE,
                },
            )
        return None

    def mark(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let an allowed origin's page read the answer."""
        if not self._origins:
            return
        if not self._any:
            # A cache must not give one origin's answer to another.
            response.headers.add("Vary", "Origin")
        allowed = self._allows(request)
        if allowed is None:
            return
        headers: Mapping[str, str] = {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Expose-Headers": ", ".join(EXPOSED),
            **({"Access-Control-Allow-Credentials": "true"} if self._credentials else {}),
        }
        response.headers.update(headers)

    def _allows(self, request: web.BaseRequest) -> str | None:
        origin = request.headers.get("Origin")
        if origin is None:
            return None
        if self._any:
            return "*"
        return origin if origin in self._origins else None


def _origin(text: str) -> str:
    if text == "*":
        return text
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username is not None
        or text != f"{parts.scheme}://{parts.netloc}".lower()
    ):
        msg = f"CORS_ORIGINS: {text!r} is no origin; one looks like https://app.example.com"
        raise ValueError(msg)
    return text

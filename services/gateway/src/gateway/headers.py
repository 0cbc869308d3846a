"""Headers that every answer carries, whoever made it."""

from aiohttp import web

from gateway.callers import Callers

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Cache-Control": "no-store",
}


def secure(response: web.StreamResponse) -> None:
    """Add what keeps browsers from making something else of the answer, and our own ``Server``."""
    response.headers.merge(_HEADERS)  # Adds those that are not there yet.
    response.headers["Server"] = "scribewire"


class StrictTransport:
    """``Strict-Transport-Security`` on what was asked for by https; over http a browser has to ignore it.

    Parameters
    ----------
    seconds
        How long a browser shall use nothing but https; 0 says nothing of it.
    callers
        Knows the proxies that may say in ``X-Forwarded-Proto`` that a request came by https.
    """

    def __init__(self, seconds: int, callers: Callers) -> None:
        self._seconds = seconds
        self._callers = callers

    def mark(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Add the header where it belongs."""
        if self._seconds and (request.secure or self._passed_on(request)):
            response.headers.setdefault("Strict-Transport-Security", f"max-age={self._seconds}; includeSubDomains")

    def _passed_on(self, request: web.BaseRequest) -> bool:
        return self._callers.trusts(request) and request.headers.get("X-Forwarded-Proto", "").strip() == "https"

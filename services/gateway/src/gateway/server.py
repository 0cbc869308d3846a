"""aiohttp's server, answering as we do also where it answers by itself: what it cannot read becomes a problem."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from gateway.headers import secure
from gateway.problems import INTERNAL, Problem, of_http
from gateway.unreadable import LONGEST_ADDRESS, LONGEST_HEADER, MOST_HEADERS, refusal

_Anything = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


class Runner(web.AppRunner):
    """Runs an application behind `_Protocol`.

    Parameters
    ----------
    app
        The application.
    idle_seconds
        How long a connection may be open without a whole head of a request.
    options
        Further options of `aiohttp.web.AppRunner`.
    """

    def __init__(self, app: web.Application, *, idle_seconds: float, **options: Any) -> None:
        super().__init__(
            app,
            keepalive_timeout=idle_seconds,
            max_line_size=LONGEST_ADDRESS,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
            auto_decompress=False,
            **options,
        )

    async def _make_server(self) -> web.Server:
        # The one seam aiohttp has for a server of one's own: it makes the connections' protocols.
        usual = await super()._make_server()
        return _Server(_outermost(usual.request_handler), request_factory=usual.request_factory, **self._kwargs)


def _outermost(handler: _Anything) -> _Anything:
    """Answer as a problem what aiohttp refuses before the application's middlewares are asked."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return of_http(error).response()

    return handle


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError from exc  # The answer has begun; all that is left is to end it.
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            log.info("request_unreadable", reason=type(exc).__name__)
            return _last(refusal(exc))
        log.error("request_failed", path=request.path, exc_info=exc)
        return _last(Problem(INTERNAL, "It is logged; please try again, and tell the operator if it stays."))


def _last(problem: Problem) -> web.Response:
    """The last answer on its connection, for nobody knows where the next request would begin."""
    response = problem.response()
    secure(response)
    response.force_close()
    return response

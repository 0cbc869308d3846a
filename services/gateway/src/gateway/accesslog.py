"""One log line for a request: never its query, whose values may be private."""

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AccessLog(AbstractAccessLogger):
    """Logs method, path, status, bytes and milliseconds."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        self.logger.info(
            "%s %s %s %d bytes %.1f ms", request.method, request.path, response.status, response.body_length, time * 1e3
        )

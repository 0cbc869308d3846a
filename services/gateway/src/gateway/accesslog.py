"""One log line for a request: never its query, whose values may be private."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AccessLog(AbstractAccessLogger):
    """Logs method, path, status, bytes and milliseconds, as JSON in the form of every other line.

    There is a line for each request, so it is written here and not by way of the logging library, which costs ten times
    as much; and those of one turn of the loop go out together.
    """

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        self._lines: list[str] = []

    @property
    def enabled(self) -> bool:
        """Whether the log's level lets these lines through."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        event = f"{request.method} {request.path} {response.status} {response.body_length} bytes {time * 1e3:.1f} ms"
        at = datetime.now(UTC).isoformat()[:-6]
        self._lines.append(
            f'{{"event": {json.dumps(event)}, "level": "info", "logger": "{self.logger.name}",'
            f' "timestamp": "{at}Z", "service": "gateway"}}\n'
        )

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write("".join(lines))
        sys.stderr.flush()

"""One log line for a request: never its query, whose values may be private."""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class _Turn:
    """The lines of one turn of a loop, which go out together."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stderr.write("".join(lines))
        sys.stderr.flush()


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()
"""One of each loop, for all its connections: aiohttp makes an `AccessLog` for each."""


class AccessLog(AbstractAccessLogger):
    """Logs method, path, status, bytes and milliseconds, as JSON in the form of every other line.

    There is a line for each request, so it is written here and not by way of the logging library, which costs ten times
    as much. Made while the loop runs.
    """

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        self._turn = _TURNS.setdefault(asyncio.get_running_loop(), _Turn())

    @property
    def enabled(self) -> bool:
        """Whether the log's level lets these lines through."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line."""
        event = f"{request.method} {request.path} {response.status} {response.body_length} bytes {time * 1e3:.1f} ms"
        at = datetime.now(UTC).isoformat()[:-6]
        self._turn.add(
            f'{{"event": {json.dumps(event)}, "level": "info", "logger": "{self.logger.name}",'
            f' "timestamp": "{at}Z", "service": "gateway"}}\n'
        )

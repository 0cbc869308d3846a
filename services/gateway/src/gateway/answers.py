"""Answers as JSON, and tables as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from aiohttp import web
from pydantic import BaseModel


def json_answer(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A model as the whole of an answer."""
    return json_bytes(model.model_dump_json().encode(), status=status, headers=headers)


def json_bytes(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON that was written before as the whole of an answer."""
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV in UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()

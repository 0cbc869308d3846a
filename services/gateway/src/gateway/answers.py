"""Answers as JSON, and tables as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from aiohttp import web
from pydantic import BaseModel

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def json_answer(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A model as the whole of an answer."""
    return web.json_response(text=model.model_dump_json(), status=status, headers=headers)


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV in UTF-8; texts that a spreadsheet would take for formulas have an apostrophe before them."""
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell

"""Answers as JSON."""

from aiohttp import web
from pydantic import BaseModel


def json_answer(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A model as the whole of an answer."""
    return web.json_response(text=model.model_dump_json(), status=status, headers=headers)

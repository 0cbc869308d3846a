"""The OpenAPI 3.1 document, made from the route table; ``python -m gateway.openapi FILE`` writes it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel, ConfigDict, Field

from common.options import JobOptions
from gateway.problems import Handler, ProblemDocument
from gateway.routes import ROUTES
from gateway.routing import Answer, Route

_TITLES = {
    400: "The request cannot be read.",
    401: "A valid key is needed.",
    402: "The month's budget is used up; `resets_at` says until when.",
    403: "The key does not allow this, `scope` names what is missing; or the person has to agree first, to `missing`.",
    404: "There is no such thing.",
    405: "This method is not offered here.",
    408: "The upload fell silent.",
    409: "Not in this state.",
    410: "It has expired, or is not offered any more.",
    412: "This version of the protocol is not spoken here.",
    413: "Too large.",
    414: "The address is too long.",
    415: "The body is compressed, or of a type that is not read here.",
    422: "Not valid, or nobody can do it; `errors` names each field.",
    423: "Another request is at it.",
    429: "A limit was met; try again after `Retry-After` seconds.",
    431: "The headers are too large.",
    460: "The checksum is of other bytes.",
    503: "A part is away; try again after `Retry-After` seconds.",
}


class UploadForm(JobOptions):
    """A file with the job's options beside it."""

    model_config = ConfigDict(json_schema_extra={"required": ["file"]})

    file: bytes = Field(description="The recording.")


def document() -> dict[str, Any]:
    """The whole document as plain data."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    api = OpenAPI.model_validate(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Scribewire",
                "version": "1",
                "description": "Speech in, text out. Errors are RFC 9457 problems.",
                "license": {"name": "See the repository", "identifier": "LicenseRef-Scribewire"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                    "stream": {"type": "apiKey", "in": "query", "name": "access_token"},
                }
            },
            "security": [{"bearer": []}, {"key": []}],
        }
    )
    built = construct_open_api_with_schema_class(api)
    return json.loads(built.model_dump_json(by_alias=True, exclude_none=True, exclude_defaults=True))  # type: ignore[no-any-return]


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def serve() -> Handler:
    """The handler of `/openapi.json`; the document is made once."""
    made = text().encode()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=made, content_type="application/json")

    return answer


def _operation(route: Route) -> dict[str, Any]:
    problems = sorted({*_UNREAD, *_door_problems(route), *route.problems, 429})
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": list(_parameters(route)),
        "responses": {str(status): _answer(answer) for status, answer in route.answers.items()}
        | {str(status): _problem(status, bare=route.method == "HEAD") for status in problems},
    }
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": _schema(route.body)}}
    if route.binary is not None:
        operation["requestBody"] = {"required": False, "content": {route.binary: {"schema": {}}}}
    if route.upload:
        operation["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": _schema(UploadForm), "*/*": {"schema": {}}}
            | ({"application/json": _schema(route.body)} if route.body is not None else {}),
        }
    if route.takes:
        kinds = {media: _schema(model) if model else {"schema": {}} for media, model in route.takes.items()}
        operation["requestBody"] = {"required": True, "content": kinds}
    if route.door == "open":
        operation["security"] = []
    elif route.door == "loopback":
        operation["security"] = [{}, {"bearer": []}, {"key": []}]
    elif route.scope == "stream":
        operation["security"] = [{"bearer": []}, {"key": []}, {"stream": []}]
    return operation


_UNREAD = (400, 414, 431)
"""Problems of requests that are refused before anybody looks where they go."""


def _door_problems(route: Route) -> tuple[int, ...]:
    if route.door == "open":
        return ()
    return (401, 403)  # 403 also where no scope is asked for: a stream token opens streams only.


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    if "{id}" in route.path:
        schema: dict[str, Any] = {"type": "string", "format": "uuid"}
        if route.words:
            schema = {"anyOf": [schema, {"enum": list(route.words)}]}
        yield {"name": "id", "in": "path", "required": True, "schema": schema}
    if route.query is not None:
        for name, schema in route.query.model_json_schema()["properties"].items():
            described = {key: value for key, value in schema.items() if key not in {"description", "title"}}
            yield {
                "name": name,
                "in": "query",
                "required": False,
                "schema": described,
                "description": schema.get("description", ""),
            }
    for name, says in route.headers.items():
        yield {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": says}


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.says}
    if answer.model is not None:
        described["content"] = {"application/json": _schema(answer.model)}
    elif answer.media:
        described["content"] = {media: {"schema": {}} for media in answer.media}
    if answer.headers:
        described["headers"] = {
            name: {"description": says, "schema": {"type": "string"}} for name, says in answer.headers.items()
        }
    return described


def _problem(status: int, *, bare: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _TITLES[status]}
    if not bare:
        described["content"] = {"application/problem+json": _schema(ProblemDocument)}
    if status in {429, 503}:
        described["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return described


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": PydanticSchema(schema_class=model)}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())

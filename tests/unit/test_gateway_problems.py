"""Problems are what the documentation says."""

import re
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from common.blobs import BlobsUnavailable
from gateway import problems
from gateway.problems import Kind, Problem, answer_problems
from gateway.server import Runner
from gateway.uploads import problems as uploads

README = Path(__file__).parents[2] / "docs" / "api" / "README.md"


def test_every_kind_is_documented_with_its_status() -> None:
    everywhere = (*vars(problems).values(), *vars(uploads).values())
    kinds = {(kind.slug, kind.status) for kind in everywhere if isinstance(kind, Kind)}
    documented = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", README.read_text(), re.MULTILINE)
    assert {(slug, int(status)) for slug, status in documented} == kinds


def test_a_problem_is_an_rfc_9457_document() -> None:
    response = Problem(problems.UNAVAILABLE, "Kafka is away.", headers={"Retry-After": "5"}, part="kafka").response()
    assert (response.status, response.content_type) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "5"
    assert response.text == (
        '{"type": "urn:scribewire:problem:unavailable", "title": "Please try again shortly", "status": 503, '
        '"detail": "Kafka is away.", "part": "kafka"}'
    )


def test_a_refused_model_names_each_field() -> None:
    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid")

        number: int
        numbers: list[int] = []

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"number": "x", "numbers": [1, "y"], "other": 1})
    problem = problems.invalid(caught.value, Model)
    assert [error["field"] for error in problem.document["errors"]] == ["number", "numbers.1", "other"]
    assert str(problem) == "Not valid: number, numbers, other."


@pytest.mark.parametrize(
    "error",
    [BlobsUnavailable(), KeyError("unforeseen"), Problem(problems.NOT_READY, "later"), web.HTTPNotFound()],
    ids=lambda error: type(error).__name__,
)
async def test_an_answer_that_fails_half_way_ends_its_connection(error: Exception) -> None:
    """A problem written then would be a part of the file, and the connection would go on as if it were whole."""

    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half a file")
        raise error

    app = web.Application(middlewares=[answer_problems])
    app.router.add_get("/", half)
    runner = Runner(app, idle_seconds=60)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        # More than one would be asked for on the same connection, were it kept.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
            for _ in range(2):
                received = b""
                with pytest.raises(aiohttp.ClientError):  # noqa: PT012 - it is at the end that it breaks off
                    async with http.get(url) as answer:
                        assert answer.status == 200
                        async for chunk in answer.content.iter_any():
                            received += chunk
                assert received in {b"", b"half a file"}
    finally:
        await runner.cleanup()

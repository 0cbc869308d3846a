"""Problems are what the documentation says."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway import problems
from gateway.problems import Kind, Problem
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

"""The OpenAPI document is valid, complete, and the committed one is the generated one."""

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import openapi
from gateway.routes import ROUTES

COMMITTED = Path(__file__).parents[2] / "docs" / "api" / "openapi.json"


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(openapi.document()).validate()


def test_every_route_is_in_it_with_its_answers() -> None:
    document = openapi.document()
    assert document["openapi"].startswith("3.1")
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.operation
        assert {str(status) for status in route.answers} <= operation["responses"].keys()
        assert ("401" in operation["responses"]) == (route.door != "open" or 401 in route.problems)


def test_an_upload_shows_every_option() -> None:
    document = openapi.document()
    form = document["components"]["schemas"]["UploadForm"]
    assert "file" in form["required"]
    assert {"file", "language", "translate", "priority"} <= form["properties"].keys()


def test_the_committed_document_is_the_generated_one() -> None:
    assert COMMITTED.read_text() == openapi.text(), "run: python -m gateway.openapi docs/api/openapi.json"

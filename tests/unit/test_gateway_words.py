"""What is wrong with an option is said in words for people."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from common.options import JobOptions
from gateway.fields import job_options
from gateway.models import JobsQuery, NewWebhook, TranscriptQuery
from gateway.problems import Problem, invalid

TAG = "must be a language tag such as 'en' or 'pt-BR'"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("colour", "red")], f"is unknown; there are {', '.join(JobOptions.model_fields)}"),
        ([("language", "no language")], TAG),
        ([("translate", "es,!!")], TAG),
        ([("language", "en-" + "x" * 40)], "may have at most 35 characters"),
        ([("speakers", "eleven")], "must be a whole number"),
        ([("speakers", "9" * 5000)], "is too large a number"),
        ([("speakers", "11")], "must be at most 10"),
        ([("speakers", "0")], "must be at least 1"),
        ([("diarize", "perhaps")], "must be true or false"),
        ([("priority", "urgent")], "must be 'interactive', 'bulk' or 'deferred'"),
        ([("profanity", "x")], "must be 'raw', 'masked' or 'removed'"),
        ([("audio_format", "aiff")], "must be one of wav, mp3, ogg, opus, flac"),
        ([("keyterms", "")], "must have at least 1 characters"),
        ([("keyterms", str(number)) for number in range(101)], "may have at most 100 of them"),
    ],
)
def test_an_option(fields: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(Problem) as caught:
        job_options(fields)
    assert [error["message"] for error in caught.value.document["errors"]] == [message]


@pytest.mark.parametrize(
    ("document", "field", "message"),
    [
        ("[]", "body", "must be a JSON object"),
        ("7", "body", "must be a JSON object"),
        ("{}", "url", "is missing"),
        ('{"url": 7}', "url", "must be text"),
        ('{"url": "\\ud800"}', "url", "has characters that are not Unicode"),
        ('{"url": "x", "events": []}', "events", "must have at least 1 of them"),
        ('{"url": "x", "events": "job.failed"}', "events", "must be a list"),
        (
            '{"url": "x", "events": ["job.failed", "a"]}',
            "events.1",
            "must be 'job.completed', 'job.failed' or 'job.cancelled'",
        ),
        ('{"url": "x", "secret": 1}', "secret", "is unknown; there are url, events"),
    ],
)
def test_a_webhook(document: str, field: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NewWebhook.model_validate(json.loads(document))
    errors = invalid(caught.value, NewWebhook).document["errors"]
    assert errors == [{"field": field, "message": message}]


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from _patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _patterns(value)


@pytest.mark.parametrize("model", [JobOptions, JobsQuery, TranscriptQuery, NewWebhook])
def test_only_language_tags_have_a_pattern(model: type[BaseModel]) -> None:
    """The words for a text that does not match speak of language tags."""
    assert set(_patterns(model.model_json_schema())) <= {r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$"}

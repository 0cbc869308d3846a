"""Options as fields become job options, or an error that names the field."""

import pytest

from common.options import JobOptions
from gateway.fields import job_options
from gateway.problems import Problem


def test_nothing_asked_for_is_the_defaults() -> None:
    assert job_options([]) == JobOptions()


def test_every_option_can_be_written_as_text() -> None:
    options = job_options(
        [
            ("language", "en"),
            ("translate", "es,de"),
            ("translate", "fr"),
            ("translate", "es"),
            ("keyterms[]", "Ada, Countess of Lovelace"),
            ("keyterms[]", "Babbage"),
            ("diarize", "true"),
            ("speakers", "2"),
            ("priority", "bulk"),
            ("audio_format", "opus"),
        ]
    )
    assert options == JobOptions(
        language="en",
        translate=("es", "de", "fr"),
        keyterms=("Ada, Countess of Lovelace", "Babbage"),
        diarize=True,
        speakers=2,
        priority="bulk",
        audio_format="opus",
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ([("colour", "red")], "colour"),
        ([("language", "no language")], "language"),
        ([("speakers", "eleven")], "speakers"),
        ([("speakers", "11")], "speakers"),
        ([("diarize", "perhaps")], "diarize"),
        ([("priority", "urgent")], "priority"),
        ([("audio_format", "aiff")], "audio_format"),
        ([("audio_format", "")], "audio_format"),
        ([("language", "en"), ("language", "de")], "language"),
        ([("translate", "es,!!")], "translate.1"),
        ([("", "x")], "body"),
        ([("keyterms", "a\0b")], "keyterms"),
        ([("model", "lone\udc80")], "model"),
    ],
)
def test_what_is_wrong_is_named(fields: list[tuple[str, str]], named: str) -> None:
    with pytest.raises(Problem) as caught:
        job_options(fields)
    assert caught.value.kind.status == 422
    assert [error["field"] for error in caught.value.document["errors"]] == [named]

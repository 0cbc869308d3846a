"""Texts that people can see as they are: whole languages are written with characters that are no letters."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from common.options import JobOptions
from gateway.answers import csv_lines
from gateway.fields import job_options
from gateway.problems import Problem
from gateway.remote import check_visible
from gateway.visible import visible, what_is_visible

ENGLAND = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng") + "\U000e007f"
NAMES = [
    "می‌خواهم",
    "श्री‍मान",
    "Qui\N{NO-BREAK SPACE}?",
    "1\N{NARROW NO-BREAK SPACE}000",
    "👩‍🔬",
    "é",
    "٣\u0600",
    ENGLAND,
    "",
]
HIDING = ["a\0", "a\nb", "a\x7f", "\ud800", "a\u2028b", "a\u2029b", "\u202egpj.exe", "\u2066a", "\U000e0fff", "\uffff"]
HIDING += [
    "ad\u00admin",
    "ad\u200bmin",
    "\ufeffa",
    "a\u200f",
    "a\U000e0061",
    "\U0001f3f4\U000e0061\U000e007f",
    "\ue000",
]


@pytest.mark.parametrize("text", NAMES)
def test_names_of_every_language_can_be_seen(text: str) -> None:
    assert visible(text)
    assert what_is_visible(text) == text
    if text:
        assert job_options([("keyterms", text)]).keyterms == (text,)
        check_visible(JobOptions(keyterms=(text,)))


@pytest.mark.parametrize("text", HIDING)
def test_what_hides_or_turns_a_text_cannot(text: str) -> None:
    assert not visible(text)
    assert visible(what_is_visible(text))
    with pytest.raises(Problem) as caught:
        job_options([("keyterms", text)])
    assert caught.value.document["errors"][0]["field"] == "keyterms"


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_deadline_that_is_no_time_in_utc_is_named(moment: str) -> None:
    with pytest.raises(Problem) as caught:
        job_options([("priority", "deferred"), ("deadline", moment)])
    assert caught.value.document["errors"] == [
        {"field": "deadline", "message": "must be between the years 1 and 9999 in UTC"}
    ]


def test_a_deadline_is_kept_in_utc() -> None:
    options = job_options([("deadline", "2026-11-21T23:00:00+05:30")])
    assert TypeAdapter(JobOptions).dump_python(options, mode="json")["deadline"] == "2026-11-21T17:30:00Z"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        *((f"{first}1+1", f"'{first}1+1") for first in "=+-@\t"),
        ("\r=1", '"\'\r=1"'),
        ("a=1", "a=1"),
        (-1.5, "-1.5"),
        (None, ""),
    ],
)
def test_no_cell_of_a_table_is_a_formula(cell: Any, written: str) -> None:
    assert csv_lines([[cell, "x"]]).decode() == f"{written},x\r\n"

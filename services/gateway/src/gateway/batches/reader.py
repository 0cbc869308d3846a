"""Lines of a manifest, JSON or CSV, read into items; what is wrong with a line is told of that line alone."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import from_json

from common.options import JobOptions
from gateway.batches.item import TOO_LONG, BadLine, Item
from gateway.batches.lines import Line
from gateway.batches.maker import LONGEST_REFERENCE, SOURCES, Maker, Named, bad_field, bad_of
from gateway.fields import job_options
from gateway.problems import INVALID, Problem
from gateway.visible import what_is_visible

_DELIMITERS = ",;\t"
_LISTS = ("translate", "keyterms", "plugins")


class Reader(Protocol):
    """Reads one line after the other."""

    def read(self, line: Line) -> Item | None:
        """The item of a line, a bad one where it is none; None for a line that names nothing, such as a header."""
        ...


class JsonReader:
    """Reads JSON Lines."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def read(self, line: Line) -> Item | None:
        """The item of a line, or a bad one."""
        reference = None
        try:
            try:
                named = Named.model_validate_json(_bytes(line))
            except ValidationError as error:
                raise bad_field(error, Named) from None
            reference = _shortened(named.reference)
            return self._maker.item(line.number, named)
        except BadLine as bad:
            return Item(line=line.number, reference=reference, field=bad.field, message=bad.message)


class CsvReader:
    """Reads CSV with a header line; a record is a line, so that a stray quote costs one line and not all after it.

    Values are separated as the header's names are: by comma, semicolon or tab. Lists are separated by semicolon, or by
    comma in ``translate`` and ``plugins``; an empty value is none. Empty values at a line's end, as spreadsheets write
    them, are nothing.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._columns: Sequence[str] | None = None
        self._delimiter = ","

    def read(self, line: Line) -> Item | None:
        """The item of a line, or a bad one; None for the header, a 422 problem when that is not one."""
        if self._columns is None:
            self._columns = self._header(line)
            return None
        reference = None
        try:
            cells = _cells(_text(line), self._delimiter, most=len(self._columns))
            values = {name: cell.strip() for name, cell in zip(self._columns, cells, strict=False) if cell.strip()}
            reference = _shortened(values.get("reference"))
            return self._maker.item(line.number, _named(values))
        except BadLine as bad:
            return Item(line=line.number, reference=reference, field=bad.field, message=bad.message)

    def _header(self, line: Line) -> Sequence[str]:
        try:
            text = _text(line)
            self._delimiter = max(_DELIMITERS, key=text.count)
            names = [name.strip().lower() for name in _cells(text, self._delimiter)]
        except BadLine as bad:
            raise Problem(INVALID, f"The header {bad.message}.", errors=[("header", bad.message)]) from None
        known = {*Named.model_fields, *JobOptions.model_fields}
        errors = [
            (f"header.{name[:50]}", f"is unknown; there are {', '.join(sorted(known))}")
            for name in dict.fromkeys(names)
            if name not in known
        ]
        errors += [(f"header.{name}", "is there twice") for name in dict.fromkeys(names) if names.count(name) > 1]
        if not errors and not set(SOURCES) & set(names):
            errors = [("header", "must name at least one of url, blob and upload")]
        if errors:
            raise Problem(INVALID, "The first line of a CSV manifest names its columns.", errors=errors)
        return names


def _named(values: Mapping[str, str]) -> Named:
    options: dict[str, Any] = {}
    if "options" in values:
        try:
            found = from_json(values["options"])
        except ValueError:
            raise BadLine("options", "must be a JSON object") from None
        if not isinstance(found, dict):
            raise BadLine("options", "must be a JSON object")
        options.update(found)
    own = [
        (name, part)
        for name, value in values.items()
        if name in JobOptions.model_fields
        for part in (value.split(";") if name in _LISTS else (value,))
        if part.strip()
    ]
    try:
        options |= job_options(own).model_dump(mode="json", exclude_unset=True)
    except Problem as problem:
        raise bad_of(problem, "options.") from None
    try:
        return Named(**{name: values[name] for name in (*SOURCES, "reference") if name in values}, options=options)
    except ValidationError as error:
        raise bad_field(error, Named) from None


def _cells(text: str, delimiter: str, most: int | None = None) -> list[str]:
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise BadLine("line", "has a quotation mark that is not closed, or not doubled, on this line") from None
    while cells and not cells[-1].strip():
        del cells[-1]
    if most is not None and len(cells) > most:
        raise BadLine("line", f"has {len(cells)} values for {most} columns")
    return cells


def _bytes(line: Line) -> bytes:
    if line.raw is None:
        raise BadLine("line", TOO_LONG)
    return line.raw


def _text(line: Line) -> str:
    try:
        return _bytes(line).decode()
    except UnicodeDecodeError:
        raise BadLine("line", "is not UTF-8") from None


def _shortened(reference: object) -> str | None:
    """What of a bad line's reference is kept, so that its owner finds it."""
    if reference is None:
        return None
    return what_is_visible(str(reference))[:LONGEST_REFERENCE]

"""Lines of a manifest, JSON or CSV, read into items; what is wrong with a line is told of that line alone."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from common.address import LONGEST as LONGEST_ADDRESS
from common.address import Address
from common.options import JobOptions
from gateway.addresses import public_url
from gateway.batches.item import TOO_LONG, BadLine, Item, Kind
from gateway.batches.lines import Line
from gateway.batches.names import LONGEST as LONGEST_NAME
from gateway.batches.names import blob_name, shown
from gateway.batches.ports import Crypt
from gateway.fields import job_options
from gateway.principal import Principal
from gateway.problems import INVALID, Problem
from gateway.words import in_words

SOURCES: tuple[Kind, ...] = ("url", "blob", "upload")
LONGEST_REFERENCE = 200

_UPLOAD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

_PLANS_KEPT = 1_000
_DELIMITERS = ",;\t"

Plan = Callable[[JobOptions], object]
"""Raises a 422 problem when nobody can do what the options ask for; `gateway.acceptance.Acceptance.plan`."""


class Named(BaseModel):
    """A line of a manifest: one of `url`, `blob` and `upload`, and what to do with it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str | None = Field(default=None, max_length=LONGEST_ADDRESS, description="Where to fetch the file from.")
    blob: str | None = Field(default=None, max_length=LONGEST_NAME, description="Name of a blob in the drop area.")
    upload: str | None = Field(default=None, max_length=100, description="Id of an upload that was sent to be held.")
    reference: str | int | None = Field(
        default=None, description=f"The client's own name of the item, up to {LONGEST_REFERENCE} characters."
    )
    options: dict[str, Any] | None = Field(default=None, description="Options, beside those of the batch.")


class Reader(Protocol):
    """Reads one line after the other."""

    def read(self, line: Line) -> Item | None:
        """The item of a line, a bad one where it is none; None for a line that names nothing, such as a header."""
        ...


class Maker:
    """Makes items of what lines name.

    Parameters
    ----------
    principal
        Whose batch it is.
    defaults
        Options of the whole batch; a line's own come before them.
    """

    def __init__(
        self,
        principal: Principal,
        *,
        defaults: Mapping[str, Any],
        plan: Plan,
        crypt: Crypt,
        allow_private: bool,
    ) -> None:
        self._principal = principal
        self._defaults = defaults
        self._plan = plan
        self._crypt = crypt
        self._allow_private = allow_private
        self._planned: dict[str, BadLine | None] = {}

    def item(self, number: int, named: Named) -> Item:
        """The item; raises `BadLine`."""
        reference = str(named.reference) if named.reference is not None else None
        if reference is not None:
            _visible("reference", reference)
            if len(reference) > LONGEST_REFERENCE:
                raise BadLine("reference", f"may have at most {LONGEST_REFERENCE} characters")
        given = [kind for kind in SOURCES if getattr(named, kind) is not None]
        if len(given) != 1:
            raise BadLine("line", "must name one of url, blob and upload" + (", not several" if given else ""))
        kind = given[0]
        text = str(getattr(named, kind))
        _visible(kind, text)
        options = self._options(named.options or {})
        source, seen = self._source(kind, text)
        return Item(line=number, reference=reference, kind=kind, source=source, shown=seen, options=options)

    def blob(self, number: int, name: str) -> Item:
        """The item of a blob that was found under a prefix."""
        return Item(
            line=number, kind="blob", source=name, shown=shown(self._principal, name), options=dict(self._defaults)
        )

    def _source(self, kind: Kind, text: str) -> tuple[str, str]:
        if kind == "url":
            try:
                public_url("url", text, allow_private=self._allow_private)
                if len(str(URL(text))) > LONGEST_ADDRESS:
                    raise BadLine("url", f"may have at most {LONGEST_ADDRESS} characters when it is percent-encoded")
                return self._crypt.encrypt(text), Address(url=text).shown
            except Problem as problem:
                raise _of(problem) from None
        if kind == "blob":
            return blob_name(self._principal, text), text
        if not _UPLOAD_ID.fullmatch(text):
            raise BadLine("upload", "must be the id of an upload, the last part of its address")
        return text.lower(), text

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        both = {**self._defaults, **given}
        known = json.dumps(both, sort_keys=True, default=str)
        if known not in self._planned:
            if len(self._planned) >= _PLANS_KEPT:
                self._planned.clear()
            self._planned[known] = self._refusal(both)
        if (refusal := self._planned[known]) is not None:
            raise BadLine(refusal.field, refusal.message)
        return both

    def _refusal(self, both: Mapping[str, Any]) -> BadLine | None:
        try:
            options = JobOptions.model_validate(both)
            for name, value in options:
                for text in value if isinstance(value, tuple) else (value,):
                    if isinstance(text, str):
                        _visible(f"options.{name}", text)
            self._plan(options)
        except ValidationError as error:
            return _first(error, JobOptions, "options.")
        except Problem as problem:
            return _of(problem, "options.")
        except BadLine as bad:
            return bad
        return None


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
                raise _first(error, Named) from None
            reference = _shortened(named.reference)
            return self._maker.item(line.number, named)
        except BadLine as bad:
            return Item(line=line.number, reference=reference, field=bad.field, message=bad.message)


class CsvReader:
    """Reads CSV with a header line; a record is a line, so that a stray quote costs one line and not all after it.

    Values are separated as the header's names are: by comma, semicolon or tab. Lists are separated by semicolon, or by
    comma in ``translate``; an empty value is none.
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
            found = json.loads(values["options"])
        except (ValueError, RecursionError):
            raise BadLine("options", "must be a JSON object") from None
        if not isinstance(found, dict):
            raise BadLine("options", "must be a JSON object")
        options.update(found)
    own = [
        (name, part)
        for name, value in values.items()
        if name in JobOptions.model_fields
        for part in (value.split(";") if name in {"translate", "keyterms"} else (value,))
        if part.strip()
    ]
    try:
        options |= job_options(own).model_dump(mode="json", exclude_unset=True)
    except Problem as problem:
        raise _of(problem, "options.") from None
    try:
        return Named(**{name: values[name] for name in (*SOURCES, "reference") if name in values}, options=options)
    except ValidationError as error:
        raise _first(error, Named) from None


def _cells(text: str, delimiter: str, most: int | None = None) -> list[str]:
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise BadLine("line", "has a quotation mark that is not closed, or not doubled, on this line") from None
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


def _visible(field: str, text: str) -> None:
    if not text.isprintable():
        raise BadLine(field, "has characters that cannot be shown")


def _shortened(reference: object) -> str | None:
    """What of a bad line's reference is kept, so that its owner finds it."""
    if reference is None:
        return None
    return "".join(char for char in str(reference) if char.isprintable())[:LONGEST_REFERENCE]


def _of(problem: Problem, prefix: str = "") -> BadLine:
    errors: Iterator[Mapping[str, str]] = iter(problem.document.get("errors", ()))
    first = next(errors, None)
    if first is None:
        return BadLine("line", f"cannot be taken: {problem.document['detail']}")
    return BadLine(f"{prefix}{first['field']}", first["message"])


def _first(error: ValidationError, model: type[BaseModel], prefix: str = "") -> BadLine:
    found = error.errors()[0]
    if found["type"] == "json_invalid":
        return BadLine("line", "is not JSON in UTF-8")
    if not found["loc"]:
        return BadLine("line", "must be a JSON object")
    field = ".".join(str(part) for part in found["loc"] if part not in {"str", "int"})
    message = "must be text or a whole number" if field == "reference" else in_words(found, model)
    return BadLine(f"{prefix}{field}", message)

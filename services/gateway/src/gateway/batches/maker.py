"""What a line of a manifest names, made an item, or told what is wrong with it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from common.address import LONGEST as LONGEST_ADDRESS
from common.address import Address
from common.blobs.names import check_name
from common.options import JobOptions
from gateway.addresses import public_url
from gateway.batches.item import BadLine, Item, Kind
from gateway.batches.names import LONGEST as LONGEST_NAME
from gateway.batches.names import blob_name, shown
from gateway.batches.ports import Crypt
from gateway.principal import Principal
from gateway.problems import Problem
from gateway.visible import visible, what_is_visible
from gateway.words import in_words

SOURCES: tuple[Kind, ...] = ("url", "blob", "upload")
LONGEST_REFERENCE = 200

_UPLOAD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

_PLANS_KEPT = 1_000

Plan = Callable[[JobOptions], object]
"""Raises a 422 problem when nobody can do what the options ask for; `gateway.acceptance.Acceptance.plan`."""


class Named(BaseModel):
    """A line of a manifest: one of `url`, `blob` and `upload`, and what to do with it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str | None = Field(default=None, max_length=LONGEST_ADDRESS, description="Where to fetch the file from.")
    blob: str | None = Field(default=None, max_length=LONGEST_NAME, description="Name of a blob in the drop area.")
    upload: str | None = Field(
        default=None,
        max_length=100,
        description="Id of an upload: of one that was held, or of one that is a job already, which is then the line's.",
    )
    reference: str | int | None = Field(
        default=None, description=f"The client's own name of the item, up to {LONGEST_REFERENCE} characters."
    )
    options: dict[str, Any] | None = Field(default=None, description="Options, beside those of the batch.")


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
        """The item of a blob that was found under a prefix; a bad one where its name is none that a line could have."""
        seen = shown(self._principal, name)
        try:
            check_name(name)
            _visible("blob", seen)
        except (ValueError, BadLine) as error:
            message = error.message if isinstance(error, BadLine) else f"is not allowed: {error}"
            return Item(line=number, kind="blob", shown=what_is_visible(seen), field="blob", message=message)
        return Item(line=number, kind="blob", source=name, shown=seen, options=dict(self._defaults))

    def _source(self, kind: Kind, text: str) -> tuple[str, str]:
        if kind == "url":
            try:
                public_url("url", text, allow_private=self._allow_private)
                if len(str(URL(text))) > LONGEST_ADDRESS:
                    raise BadLine("url", f"may have at most {LONGEST_ADDRESS} characters when it is percent-encoded")
                return self._crypt.encrypt(text), Address(url=text).shown
            except Problem as problem:
                raise bad_of(problem) from None
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
            return bad_field(error, JobOptions, "options.")
        except Problem as problem:
            return bad_of(problem, "options.")
        except BadLine as bad:
            return bad
        return None


def _visible(field: str, text: str) -> None:
    if not visible(text):
        raise BadLine(field, "has characters that cannot be shown")


def bad_of(problem: Problem, prefix: str = "") -> BadLine:
    """The first of what a problem names."""
    errors: Iterator[Mapping[str, str]] = iter(problem.document.get("errors", ()))
    first = next(errors, None)
    if first is None:
        return BadLine("line", f"cannot be taken: {problem.document['detail']}")
    return BadLine(f"{prefix}{first['field']}", first["message"])


def bad_field(error: ValidationError, model: type[BaseModel], prefix: str = "") -> BadLine:
    """The first of what pydantic found, in words."""
    found = error.errors()[0]
    if found["type"] == "json_invalid":
        return BadLine("line", "is not JSON in UTF-8")
    if not found["loc"]:
        return BadLine("line", "must be a JSON object")
    field = ".".join(str(part) for part in found["loc"] if part not in {"str", "int"})
    message = "must be text or a whole number" if field == "reference" else in_words(found, model)
    return BadLine(f"{prefix}{field}", message)

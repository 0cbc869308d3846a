"""Options as form fields or query parameters, read into `JobOptions`."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import ValidationError

from common.options import JobOptions
from gateway.problems import INVALID, Problem, invalid
from gateway.visible import visible

_MANY: Mapping[str, str | None] = MappingProxyType({"translate": ",", "keyterms": None, "plugins": ","})
"""Options that may be repeated, and what else may stand between their values."""

_EMPTY = ("plugins",)
"""Options for which no value means none at all, and not what is usual."""


def job_options(fields: Iterable[tuple[str, str]]) -> JobOptions:
    """The options a client asked for.

    ``translate``, ``keyterms`` and ``plugins`` may be repeated, and all but ``keyterms`` separated by commas; an empty
    ``plugins`` means none. A name may end in ``[]``, as some form libraries write lists.

    Raises
    ------
    Problem
        422 that names each option that is unknown, given twice, or has a bad value.
    """
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    twice: list[tuple[str, str]] = []
    hidden: list[tuple[str, str]] = []
    for given, value in fields:
        name = given.removesuffix("[]")
        if not visible(value):
            hidden.append((name, "has characters that cannot be shown"))
        elif name in _MANY:
            separator = _MANY[name]
            parts = value.split(separator) if separator else [value]
            known = lists.setdefault(name, [])
            if name in _EMPTY and not value.strip():
                continue
            known.extend(part.strip() for part in parts if part.strip() not in known)
        elif name in values:
            twice.append((name, "given twice"))
        else:
            values[name] = value
    if hidden:
        raise Problem(INVALID, f"Not valid: {', '.join(name for name, _ in hidden)}.", errors=hidden)
    if twice:
        raise Problem(INVALID, f"Given twice: {', '.join(name for name, _ in twice)}.", errors=twice)
    try:
        return JobOptions.model_validate(values | lists)
    except ValidationError as error:
        raise invalid(error, JobOptions) from None

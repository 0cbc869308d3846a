"""What a new upload is, from the headers that ask for it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from pydantic import ValidationError

from common.events import now
from common.options import JobOptions
from gateway.acceptance import Acceptance
from gateway.filenames import printable, sanitise
from gateway.problems import EMPTY_FILE, INVALID, Problem, invalid
from gateway.uploads.headers import metadata
from gateway.uploads.models import Upload
from gateway.visible import visible


def new_upload(
    acceptance: Acceptance,
    *,
    owner: str,
    length: int | None,
    described: str | None,
    upload: UUID | None = None,
    **more: Any,
) -> Upload:
    """An upload as it will be kept; what nobody can do with it is refused here, before its bytes come.

    Parameters
    ----------
    described
        ``Upload-Metadata``: ``filename``, ``filetype``, ``options`` (a JSON object) and ``hold`` are understood.
    more
        Further fields of `Upload`.

    Raises
    ------
    Problem
        400 when the metadata cannot be read, 422 when an option is not valid, or there will be no bytes.
    """
    pairs = metadata(described or "")
    partial = more.get("kind") == "partial"
    if length == 0 and not partial:
        raise Problem(
            EMPTY_FILE, "A recording has at least one byte.", errors=[("Upload-Length", "must be at least 1")]
        )
    options = _options(pairs)
    return Upload(
        id=upload or uuid4(),
        owner=owner,
        length=length,
        metadata=described,
        filename=sanitise(_text(pairs, "filename")),
        content_type=printable(_text(pairs, "filetype")),
        options=options,
        plan=None if partial else acceptance.plan(options),
        hold="hold" in pairs,
        created_at=now(),
        **more,
    )


def _text(pairs: Mapping[str, bytes | None], name: str) -> str | None:
    value = pairs.get(name)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        message = "must be UTF-8"
        raise Problem(INVALID, f"In Upload-Metadata {name} {message}.", errors=[(name, message)]) from None


def _options(pairs: Mapping[str, bytes | None]) -> JobOptions:
    text = _text(pairs, "options")
    if text is None:
        return JobOptions()
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        message = "must be a JSON object"
        raise Problem(INVALID, f"In Upload-Metadata options {message}.", errors=[("options", message)]) from None
    try:
        options = JobOptions.model_validate(given)
    except ValidationError as error:
        raise invalid(error, JobOptions) from None
    hidden = [name for name, value in options if not all(map(visible, _texts(value)))]
    if hidden:
        message = "has characters that cannot be shown"
        raise Problem(INVALID, f"Not valid: {', '.join(hidden)}.", errors=[(name, message) for name in hidden])
    return options


def _texts(value: object) -> list[str]:
    if isinstance(value, tuple):
        return [part for part in value if isinstance(part, str)]
    return [value] if isinstance(value, str) else []

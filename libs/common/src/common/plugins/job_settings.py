"""The settings plug-ins get, and which of a job's options they may change with them."""

from collections.abc import Mapping
from typing import Any

from common.options import JobOptions

CHANGEABLE = ("language", "speakers", "keyterms", "punctuate", "profanity")
"""Options that a plug-in may change before recognition; the others decided already who works and how audio is cut."""

TOLD = (*CHANGEABLE, "provider", "model", "diarize")
"""Options that plug-ins see."""


def initial(options: JobOptions, more: Mapping[str, Any], *, provider: str) -> dict[str, Any]:
    """The settings of a job before any plug-in: what the operator set for all jobs, then what this one asks for."""
    asked = options.model_dump(mode="json", include=set(TOLD))
    return {**more, **asked, "provider": provider, "detected_language": None}


def changed(options: JobOptions, settings: Mapping[str, Any]) -> JobOptions:
    """The options with which the job goes on.

    Raises
    ------
    pydantic.ValidationError
        When a plug-in left a value that the option cannot have.
    """
    ours = {name: settings[name] for name in CHANGEABLE if name in settings}
    return JobOptions.model_validate(options.model_dump() | ours)


def detected(settings: Mapping[str, Any]) -> str | None:
    """The language that a plug-in found, if any."""
    language = settings.get("detected_language")
    return language if isinstance(language, str) else None

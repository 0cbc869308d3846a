"""What several commands take alike about when the work is to be done."""

from datetime import datetime
from enum import StrEnum, auto

import typer


class Priority(StrEnum):
    """When a job's work is done."""

    interactive = auto()
    bulk = auto()
    deferred = auto()


def when(priority: Priority | None, *, bulk: bool, deadline: str | None) -> dict[str, str]:
    """The options of a job that say when, of those with ``deadline`` as ISO 8601 with a zone.

    Raises
    ------
    typer.BadParameter
        When they contradict each other, or the deadline is no time.
    """
    if bulk and priority not in {None, Priority.bulk}:
        raise typer.BadParameter(f"--bulk is --priority bulk: it does not go with --priority {priority}")
    if deadline is not None and priority is not Priority.deferred:
        raise typer.BadParameter("--deadline goes with --priority deferred")
    wanted = Priority.bulk if bulk else priority
    options = {} if wanted is None else {"priority": wanted.value}
    return options if deadline is None else options | {"deadline": _time(deadline)}


def _time(text: str) -> str:
    try:
        # Without a zone it is the time of this machine.
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError, OSError):
        example = "2026-12-01T06:00 or 2026-12-01T06:00+01:00"
        raise typer.BadParameter(f"--deadline {text}: write it as a date and a time, such as {example}") from None

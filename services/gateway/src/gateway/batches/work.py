"""An item that is to become a job now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common import ids


def job_of(batch: UUID, line: int, attempt: int) -> UUID:
    """Id of an item's job: derived, so that releasing it twice is one job, and trying it again another."""
    return ids.derived(batch, f"{line}/{attempt}")


@dataclass(frozen=True, slots=True)
class Work:
    """An item that this gateway claimed."""

    batch: UUID
    line: int
    owner: str
    job: UUID
    kind: str
    source: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item cannot become a job."""

    work: Work
    field: str | None
    code: str
    message: str

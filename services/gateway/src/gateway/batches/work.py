"""An item that is to become a job now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common import ids

Place = tuple[datetime, UUID, int]
"""A place in the order of an owner's items: when the batch was made, the batch, the line."""


def job_of(item: Mapping[str, Any], attempt: int) -> UUID:
    """Id of an item's job: derived, so that releasing it twice is one job, and trying it again another.

    The first job of an upload has the id under which its bytes were stored.

    Parameters
    ----------
    item
        A row with ``batch_id``, ``line``, ``owner``, ``kind`` and ``source``.
    attempt
        Which of its jobs, from 1.
    """
    if item["kind"] == "upload" and attempt == 1:
        return ids.upload_job(item["owner"], UUID(item["source"]))
    return ids.derived(item["batch_id"], f"{item['line']}/{attempt}")


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

"""Derived ids: the same input always gives the same id, so doing a thing twice changes nothing."""

from uuid import UUID, uuid4, uuid5

JOBS = UUID("6f1d2c3a-7c1e-5a0e-9a51-5b1d0f0c7e01")
"""Namespace of job ids derived from a user and an idempotency key."""


def job_id(owner: str, idempotency_key: str | None) -> UUID:
    """Id of a job: derived from owner and key when the client sent a key, random otherwise."""
    return uuid5(JOBS, f"{owner}\0{idempotency_key}") if idempotency_key is not None else uuid4()


def event_id(job: UUID, kind: str, attempt: int, part: str) -> UUID:
    """Id of an event: of a job, its type, the job's attempt, and the part (segment, language) it is about."""
    return uuid5(job, f"{kind}/{attempt}/{part}")


def segment_id(job: UUID, index: int) -> UUID:
    """Id of a job's segment by its index from 0."""
    return uuid5(job, f"segment/{index}")

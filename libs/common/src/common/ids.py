"""Derived ids: the same input always gives the same id, so doing a thing twice changes nothing."""

from hashlib import sha1
from uuid import UUID, uuid4

JOBS = UUID("6f1d2c3a-7c1e-5a0e-9a51-5b1d0f0c7e01")
"""Namespace of job ids derived from a user and an idempotency key."""

UPLOADS = UUID("8d7f4c0e-2b1a-5f63-9c55-1e0a7b9d4f02")
"""Namespace of job ids derived from a user and an upload's id."""

MADE = UUID("2b7c9a54-0d3e-5c1f-8e62-9f4a1c6d8b03")
"""Namespace of the ids of what else is made once under an idempotency key."""

_NOT_FIXED = ~(0xF000 << 64) & ~(0xC000 << 48)
_FIXED = 0x5000 << 64 | 0x8000 << 48


def derived(namespace: UUID, name: str) -> UUID:
    """What `uuid.uuid5` gives, at half its cost: the bus derives one id for every event that goes out."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:16], "big") & _NOT_FIXED | _FIXED)


def job_id(owner: str, idempotency_key: str | None) -> UUID:
    """Id of a job: derived from owner and key when the client sent a key, random otherwise."""
    return derived(JOBS, f"{owner}\0{idempotency_key}") if idempotency_key is not None else uuid4()


def upload_job(owner: str, upload: UUID) -> UUID:
    """Id of the job that an upload in several requests becomes."""
    return derived(UPLOADS, f"{owner}\0{upload}")


def event_id(job: UUID, kind: str, attempt: int, part: str) -> UUID:
    """Id of an event: of a job, its type, the job's attempt, and the part (segment, language) it is about."""
    return derived(job, f"{kind}/{attempt}/{part}")


def segment_id(job: UUID, index: int) -> UUID:
    """Id of a job's segment by its index from 0."""
    return derived(job, f"segment/{index}")

"""Requests that make a thing whose secret is shown once: under an Idempotency-Key they make it once.

The thing's id is derived from the key, and its row keeps a hash of what was asked for; both go with the row.
"""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import BaseModel

from common import ids
from gateway.claims import idempotency_key
from gateway.principal import owner_of
from gateway.problems import KEY_REUSED, MADE_BEFORE, Problem

HEADER = {"Idempotency-Key": "1 to 255 visible ASCII characters; under the same key one is made, see `made-before`."}
"""For routes that make something so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request makes: its id, and a hash of what was asked for, None without an Idempotency-Key."""

    id: UUID
    digest: bytes | None


def asked(request: web.Request, what: str, body: BaseModel) -> Asked:
    """What the request shall make.

    Parameters
    ----------
    what
        The kind of thing: one key may stand for one of each.
    body
        What was asked for; the order of fields in the request, and fields that say what is so anyway, do not matter.
    """
    key = idempotency_key(request.headers.getall("Idempotency-Key", ()))
    if key is None:
        return Asked(uuid4(), None)
    name = f"{what}\0{owner_of(request)}\0{key}"
    return Asked(ids.derived(ids.MADE, name), sha256(body.model_dump_json().encode()).digest())


def repeated(asked: Asked, before: bytes, instead: str) -> Problem:
    """The problem of a request whose key made something before.

    Parameters
    ----------
    before
        Hash of what was asked for then.
    instead
        What to do, for the secret cannot be shown again.
    """
    if before != asked.digest:
        return Problem(KEY_REUSED, "The first request with this Idempotency-Key asked for something else.")
    detail = f"This request made {asked.id}, and its answer showed the secret, once; {instead}."
    return Problem(MADE_BEFORE, detail, id=str(asked.id))

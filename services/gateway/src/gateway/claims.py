"""What an Idempotency-Key stands for: its first request, kept beside the bytes, so that it holds without Postgres."""

import re
from collections.abc import Sequence
from uuid import UUID

from common import layout
from common.blobs import BlobNotFound, Blobs, read_all
from common.events import UploadReceived
from gateway.problems import INVALID, KEY_REUSED, Problem, unavailable

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(headers: Sequence[str]) -> str | None:
    """The key a client sent, or None; a 422 problem when it is not one of 1 to 255 visible ASCII characters.

    Parameters
    ----------
    headers
        The values of every ``Idempotency-Key`` header of the request.
    """
    if not headers:
        return None
    if len(headers) == 1 and _KEY.fullmatch(headers[0]):
        return headers[0]
    message = "must be 1 to 255 visible ASCII characters" if len(headers) == 1 else "must be given once"
    raise Problem(INVALID, f"Idempotency-Key {message}.", errors=[("Idempotency-Key", message)])


def _name(owner: str, job: UUID) -> str:
    return f"{layout.originals(owner, job)}claim.json"


async def claim(blobs: Blobs, event: UploadReceived) -> UploadReceived:
    """Make this the key's request, or find the one that was first.

    The claim is created only if absent, so of requests at the same time exactly one wins. A loser with the same
    bytes and options gets the winner's event, so that both are one job; any other is refused, and its bytes removed.

    Returns
    -------
    UploadReceived
        The event to publish: this one, or the first request's.

    Raises
    ------
    Problem
        422 when the first request had other bytes or options.
    """
    name = _name(event.owner, event.job_id)
    if await blobs.write(name, event.model_dump_json().encode()):
        return event
    try:
        first = UploadReceived.model_validate_json(await read_all(blobs, name))
    except BlobNotFound:
        raise unavailable("The first request with this Idempotency-Key is just being erased.") from None
    if (first.sha256, first.remote) != (event.sha256, event.remote):
        await blobs.remove(event.source.name)
        raise Problem(KEY_REUSED, "The first request with this Idempotency-Key had another file or address.")
    if first.options != event.options:
        raise Problem(KEY_REUSED, "The first request with this Idempotency-Key had other options.")
    return first

"""What a provider's answer means for the bus: `Permanent` or `Transient`, without the key or its traces."""

import re
from collections.abc import Mapping

from common.errors import Permanent, StageError, Transient
from common.retry_after import retry_after

_LATER = {408, 409, 425, 429}
_SAID_LIMIT = 200
_ID = re.compile(r"\b(?:sk|pk|org|proj|req)[-_][\w*.-]+|[\w*-]{32,}")
"""Keys, also abridged with asterisks, and names of accounts."""


def refused(
    provider: str,
    status: int,
    headers: Mapping[str, str] | None,
    *,
    said: str = "",
    spent: bool = False,
    codes: Mapping[int, str] | None = None,
) -> StageError:
    """The failure an HTTP status stands for.

    A refused key and an empty account are `Transient`: the operator can mend them while the retries last.

    Parameters
    ----------
    provider
        Its name, for people.
    status, headers
        Of the answer; ``Retry-After`` is obeyed.
    said
        The provider's own words. They are told only where they help the person who sent the request, and never with
        a key or the name of an account in them.
    spent
        Whether the answer says that the account is empty, which some tell by 429.
    codes
        Codes of the failure by status, where ``provider_refused`` says too little.
    """
    if status in {401, 403}:
        return Transient(f"{provider} refuses the key ({status}); the operator must see to it.", code="provider_auth")
    wait = retry_after(_header(headers, "retry-after"))
    if status == 402 or spent:
        why = f"{provider} has no credit left for us ({status}); the operator must see to it."
        return Transient(why, retry_after=wait, code="provider_quota")
    if status in _LATER or status >= 500:
        code = "provider_busy" if status == 429 else "provider_unavailable"
        return Transient(f"{provider} cannot answer now ({status}).", retry_after=wait, code=code)
    code = (codes or {}).get(status, "provider_refused")
    detail = _ID.sub("…", " ".join(said.split()))[:_SAID_LIMIT]
    return Permanent(code, f"{provider} refuses the request ({status}): {detail or 'no reason given'}")


def unreachable(provider: str) -> Transient:
    """The connection failed or was cut."""
    return Transient(f"{provider} cannot be reached, or cut the connection.", code="provider_unreachable")


def too_slow(provider: str, limit: float) -> Transient:
    """No answer came in time."""
    return Transient(f"{provider} did not answer within {limit:g} s.", code="provider_timeout")


def garbled(provider: str) -> Transient:
    """The answer was not what the provider documents."""
    return Transient(f"{provider} gave an answer that makes no sense.", code="provider_garbled")


def _header(headers: Mapping[str, str] | None, name: str) -> str | None:
    return next((value for key, value in (headers or {}).items() if key.lower() == name), None)

"""What a provider's answer means for the bus: `Permanent` or `Transient`, without the key or its traces."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from common.errors import Permanent, StageError, Transient

_AUTH = {401, 402, 403}
_LATER = {408, 409, 425, 429}
_SAID_LIMIT = 200


def time_limit(duration: float) -> float:
    """Seconds a provider may take: half a minute and as long as the speech, but eleven minutes at most."""
    return min(30.0 + duration, 660.0)


def refused(provider: str, status: int, headers: Mapping[str, str] | None, said: str) -> StageError:
    """The failure an HTTP status stands for.

    A refused key and an empty account are `Transient` with the code ``provider_auth``: the operator can mend them
    while the retries last. What the provider ``said`` is passed on only where it cannot quote the key.
    """
    if status in _AUTH:
        why = "has no credit left" if status == 402 else "refuses the key"
        return Transient(f"{provider} {why} ({status}); the operator must see to it.", code="provider_auth")
    detail = " ".join(said.split())[:_SAID_LIMIT]
    if status in _LATER or status >= 500:
        return Transient(
            f"{provider} cannot answer now ({status}): {detail}",
            retry_after=retry_after(headers),
            code="provider_busy" if status == 429 else "provider_unavailable",
        )
    code = {413: "audio_too_large", 415: "audio_refused"}.get(status, "provider_refused")
    return Permanent(code, f"{provider} refused the audio or its options ({status}): {detail}")


def unreachable(provider: str) -> Transient:
    """The connection failed or was cut."""
    return Transient(f"{provider} cannot be reached, or cut the connection.", code="provider_unreachable")


def too_slow(provider: str, limit: float) -> Transient:
    """No answer came in time."""
    return Transient(f"{provider} did not answer within {limit:.0f} s.", code="provider_timeout")


def garbled(provider: str) -> Transient:
    """The answer was not what the provider documents."""
    return Transient(f"{provider} gave an answer that makes no sense.", code="provider_garbled")


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds of a ``Retry-After`` header, as a number or an HTTP date; None without a valid one."""
    value = next((v for k, v in (headers or {}).items() if k.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None

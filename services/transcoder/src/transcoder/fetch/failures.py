"""What went wrong with an address, as `Permanent` or `Transient`; no message quotes the address or where it leads."""

from collections.abc import Mapping

from common.errors import Permanent, StageError, Transient
from common.retry_after import retry_after

_LATER = {408, 425, 429}


def refused(status: int, headers: Mapping[str, str] | None = None) -> StageError:
    """The failure that an HTTP status stands for; ``Retry-After`` is obeyed."""
    if status in {404, 410}:
        return not_found()
    if status in {401, 402, 403, 407, 451}:
        return forbidden()
    if status in _LATER or status >= 500:
        wait = retry_after((headers or {}).get("Retry-After"))
        code = "source_busy" if status == 429 else "source_unavailable"
        return Transient(f"The server of the address cannot give the file now ({status}).", retry_after=wait, code=code)
    return Permanent("source_refused", f"The server of the address does not give the file ({status}).")


def not_found() -> Permanent:
    """There is nothing at the address."""
    return Permanent("source_not_found", "There is no file at the address. Check it, and send the job again.")


def forbidden() -> Permanent:
    """The address wants something we do not have."""
    return Permanent(
        "source_forbidden",
        "The server of the address does not give us the file: the link has expired, or it needs a login. "
        "Send a link that works without one, or the file itself.",
    )


def not_public() -> Permanent:
    """The guard refused it, or nobody knows the name: told alike, for the difference says what names there are here."""
    return Permanent("source_not_public", "The address does not lead to a server on the public Internet.")


def bad_redirect(why: str) -> Permanent:
    """It was forwarded where we do not follow."""
    return Permanent("source_redirect", f"The server of the address forwards us {why}. Send the final address.")


def untrusted() -> Permanent:
    """TLS with a certificate that does not hold."""
    return Permanent("source_untrusted", "The server of the address has no valid certificate.")


def encoded() -> Permanent:
    """Compressed although we asked for it not to be: it would have to be unpacked by us, to whatever size."""
    return Permanent("source_encoded", "The server of the address sends the file compressed, which we did not ask for.")


def too_large(limit: int) -> Permanent:
    """More bytes than a file may have."""
    return Permanent("too_large", f"The file at the address has more than {limit} bytes, which is the limit.")


def too_slow(seconds: float) -> Permanent:
    """It was coming all the time, but for too long: it holds a place that others wait for."""
    return Permanent("source_too_slow", f"The file did not come within {seconds:g} seconds. Send the file itself.")


def stalled() -> Transient:
    """Nothing came, or next to nothing."""
    return Transient("The server of the address fell silent.", code="source_timeout")


def unreachable() -> Transient:
    """No connection, or one that broke before the end."""
    return Transient(
        "The server of the address cannot be reached, or the connection broke off before the end.",
        code="source_unreachable",
    )

"""Addresses that clients give us to call: refused at once when the notifier would refuse them."""

from common.guard import check_url
from gateway.problems import INVALID, Problem


def public_url(field: str, url: str, *, allow_private: bool) -> None:
    """Return when the address may be called; a 422 problem naming the field otherwise.

    Names are resolved, and checked again, at each call: this only spares the client a late surprise.
    """
    try:
        check_url(url, allow_private=allow_private)
    except ValueError as error:
        raise Problem(INVALID, f"{field}: {error}", errors=[(field, str(error))]) from None

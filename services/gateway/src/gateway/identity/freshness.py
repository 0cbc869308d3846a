"""Steps that cannot be undone want a login of now: tokens of another issuer may live for days and be stolen."""

import time

from gateway.principal import Principal
from gateway.problems import FORBIDDEN, Problem

FRESH_SECONDS = 15 * 60
"""As long as an access token of our own lives."""


def need_fresh_login(principal: Principal, to_do: str, *, now: float | None = None) -> None:
    """Return when whoever came in with a token of another issuer logged in there lately; a 403 problem otherwise.

    Parameters
    ----------
    to_do
        What is asked for, as a verb.
    now
        Seconds since the epoch.
    """
    if principal.via != "oidc":
        return
    at = time.time() if now is None else now
    if principal.issued is None or at - principal.issued > FRESH_SECONDS:
        raise Problem(
            FORBIDDEN,
            f"To {to_do}, log in again at your issuer: this token was issued more than {FRESH_SECONDS // 60} minutes "
            "ago.",
        )

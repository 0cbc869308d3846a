"""What waits for an answer to a mail, held by the mail itself: nothing is kept of who never answers.

The token is the registration, or the change of address, encrypted. So nobody blocks an address by registering with it.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Literal

from common.crypt import Crypt, Undecipherable

Purpose = Literal["register", "address"]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is confirmed by showing its token."""

    purpose: Purpose
    values: dict[str, Any]


class Confirmations:
    """Makes and reads tokens.

    Parameters
    ----------
    seconds
        How long a token is good.
    """

    def __init__(self, crypt: Crypt, *, seconds: float = 86400.0) -> None:
        self._crypt = crypt
        self._seconds = seconds

    @property
    def hours(self) -> int:
        """How long a token is good, for people."""
        return max(1, round(self._seconds / 3600))

    def token(self, purpose: Purpose, **values: Any) -> str:
        """The token for what waits; ``values`` are JSON."""
        said = {"confirm": purpose, "until": time.time() + self._seconds, "values": values}
        # As short as can be: it has to fit into an address.
        return self._crypt.encrypt(json.dumps(said, ensure_ascii=False))

    def read(self, token: str) -> Confirmation | None:
        """What a token stands for; None when it is none or its time is over."""
        try:
            # Other texts are encrypted with the same keys, so it must say that it is one of these.
            said = json.loads(self._crypt.decrypt(token))
            if said["until"] > time.time():
                return Confirmation(said["confirm"], said["values"])
        except (Undecipherable, ValueError, TypeError, KeyError):
            pass
        return None

"""What waits for an answer to a mail, held by the mail itself: nothing is kept of who never answers.

The token is the registration, or the change of address, encrypted. So nobody blocks an address by registering with it.
"""

import json
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from common.crypt import Crypt, Undecipherable

Purpose = Literal["register", "address"]

_MARK = "\x00confirm\x00"
"""Begins the text of every token. Names, addresses and what else is encrypted with the same keys have no control
characters, so none of them, copied out of the database, is ever read as a token."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is confirmed by showing its token.

    Parameters
    ----------
    digest
        SHA-256 of what the token says, the same however it is spelled, to know it again when it was used.
    until
        When the token ends (epoch seconds).
    """

    purpose: Purpose
    values: dict[str, Any]
    digest: bytes
    until: float


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
        return self._crypt.encrypt(_MARK + json.dumps(said, ensure_ascii=False))

    def read(self, token: str) -> Confirmation | None:
        """What a token stands for; None when it is none or its time is over."""
        try:
            text = self._crypt.decrypt(token)
            if not text.startswith(_MARK):
                return None
            said = json.loads(text.removeprefix(_MARK))
            if said["until"] > time.time():
                digest = sha256(text.encode()).digest()
                return Confirmation(said["confirm"], said["values"], digest, float(said["until"]))
        except (Undecipherable, ValueError, TypeError, KeyError):
            pass
        return None

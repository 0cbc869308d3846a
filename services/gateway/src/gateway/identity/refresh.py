"""A refresh token: which session it is for, and two secrets, of which one stays and one is changed with each use."""

import base64
import binascii
import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

_PREFIX = "swr_"
_FAMILY_BYTES = 16
_SECRET_BYTES = 32
_BYTES = 16 + _FAMILY_BYTES + _SECRET_BYTES


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One refresh token, whether or not it is still good.

    ``family`` is the same in every token of a session. It proves that a token was made here, however long ago it was
    replaced: only such a token, shown again, ends the session. Knowing a session's id, as from an access token, does
    not.
    """

    session: UUID
    family: bytes
    secret: bytes

    @classmethod
    def new(cls, session: UUID) -> "RefreshToken":
        """The first token of a session."""
        return cls(session, secrets.token_bytes(_FAMILY_BYTES), secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def read(cls, text: str) -> "RefreshToken | None":
        """The token that a text is, or None."""
        if not text.startswith(_PREFIX) or not text.isascii():
            return None
        try:
            raw = base64.b64decode(text.removeprefix(_PREFIX) + "==", altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        if len(raw) != _BYTES:
            return None
        return cls(UUID(bytes=raw[:16]), raw[16 : 16 + _FAMILY_BYTES], raw[16 + _FAMILY_BYTES :])

    def next(self) -> "RefreshToken":
        """The token that replaces this one."""
        return RefreshToken(self.session, self.family, secrets.token_bytes(_SECRET_BYTES))

    @property
    def text(self) -> str:
        """As the client gets it."""
        raw = self.session.bytes + self.family + self.secret
        return _PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @property
    def hash(self) -> bytes:
        """SHA-256 of the changing secret."""
        return sha256(self.secret).digest()

    @property
    def family_hash(self) -> bytes:
        """SHA-256 of the secret that stays."""
        return sha256(self.family).digest()

"""Texts that PostgreSQL is not to know: encrypted by Fernet on the way in, with keys that lie beside no database.

`common.encryption` has the commands that rotate the keys, and how that goes.
"""

from pathlib import Path

import structlog
from cryptography.fernet import InvalidToken
from pydantic import Field

from common import keyfile
from common.settings import CommonSettings

log = structlog.get_logger(__name__)


class Undecipherable(Exception):  # noqa: N818 - named for the state, not the class
    """None of the keys made this text."""


class Crypt:
    """Encrypts with the first key and decrypts with all.

    Parameters
    ----------
    keys
        Fernet keys (32 bytes as URL-safe base64), the encrypting one first.

    Raises
    ------
    ValueError
        When there is no key, or one that is none; it is not quoted.
    """

    def __init__(self, keys: list[str]) -> None:
        self._keys = keyfile.fernets(keys)
        self._file: Path | None = None
        self._version: keyfile.Version | None = None

    @classmethod
    def of_file(cls, path: Path) -> "Crypt":
        """Read the key file now, and again whenever it was changed; raises ValueError when it has no keys now.

        A file that cannot be read later on leaves the keys of before.
        """
        version = keyfile.version(path)  # asked for first, so that a change while it is read is seen the next time
        crypt = cls(keyfile.read(path))
        crypt._file, crypt._version = path, version
        return crypt

    def encrypt(self, text: str) -> str:
        """The text as a Fernet token."""
        self._look()
        return self._keys[0].encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The text of a token; raises `Undecipherable`."""
        return self._opened(token)[1]

    def made_by(self, token: str) -> int:
        """Which of the keys made the token, 0 for the first; raises `Undecipherable`."""
        return self._opened(token)[0]

    def renewed(self, token: str) -> str | None:
        """The token made anew by the first key, or None when that key made it; raises `Undecipherable`."""
        number, text = self._opened(token)
        return self.encrypt(text) if number else None

    def _opened(self, token: str) -> tuple[int, str]:
        self._look()
        for number, key in enumerate(self._keys):
            try:
                return number, key.decrypt(token).decode()
            except (InvalidToken, ValueError):  # the latter where it is no ASCII, so none of ours
                continue
        raise Undecipherable

    def _look(self) -> None:
        """Take the keys of a file that was changed: one `stat`, and no process has to be restarted for new keys."""
        if self._file is None or (version := keyfile.version(self._file)) == self._version:
            return
        self._version = version
        try:
            keys = keyfile.read(self._file)
        except ValueError as error:
            log.warning("encryption_keys_not_read", reason=str(error))
            return
        self._keys = keyfile.fernets(keys)
        log.info("encryption_keys_read", first=keyfile.name(keys[0]), keys=len(keys))


class CryptSettings(CommonSettings):
    """Where the keys are."""

    encryption_keys_file: Path = Field(
        description="File with Fernet keys, one a line; the first encrypts, every one decrypts."
    )

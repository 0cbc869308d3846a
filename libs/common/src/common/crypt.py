"""Texts that PostgreSQL is not to know: encrypted by Fernet on the way in, with keys that lie beside no database.

The key file has one Fernet key a line, newest first: the first encrypts, every one decrypts. To rotate, put a new key
on top, restart what reads the file, encrypt anew (`python -m common.crypt rotate`), then take the old key out.
`python -m common.crypt generate FILE` makes a file, or puts a new key on top of one.
"""

import asyncio
import os
import sys
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import Field

from common.settings import CommonSettings


class Undecipherable(Exception):  # noqa: N818 - named for the state, not the class
    """None of the keys made this text."""


class Crypt:
    """Encrypts with the newest key and decrypts with all.

    Parameters
    ----------
    keys
        Fernet keys (32 bytes as URL-safe base64), newest first.

    Raises
    ------
    ValueError
        When there is no key, or one that is none; it is not quoted.
    """

    def __init__(self, keys: list[str]) -> None:
        try:
            fernets = [Fernet(key) for key in keys]
            self._newest = fernets[0]
            self._all = MultiFernet(fernets)
        except (ValueError, IndexError):
            msg = "the encryption keys must be Fernet keys, one a line, at least one"
            raise ValueError(msg) from None

    @classmethod
    def of_file(cls, path: Path) -> "Crypt":
        """Read the key file; raises ValueError when it is missing or holds something else."""
        try:
            return cls(path.read_text().split())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            msg = f"the encryption keys file cannot be read: {reason}"
            raise ValueError(msg) from None

    def encrypt(self, text: str) -> str:
        """The text as a Fernet token."""
        return self._newest.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The text of a token; raises `Undecipherable`."""
        try:
            return self._all.decrypt(token).decode()
        except InvalidToken:
            raise Undecipherable from None

    def renewed(self, token: str) -> str | None:
        """The token made anew by the newest key, or None when that key made it; raises `Undecipherable`."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return self.encrypt(self.decrypt(token))
        return None


class CryptSettings(CommonSettings):
    """Where the keys are."""

    encryption_keys_file: Path = Field(description="File with Fernet keys, one a line, newest first.")


def generate(path: Path) -> None:
    """Put a new key on top of the file (mode 0600), which is made if need be; replaced whole or not at all."""
    older = path.read_text() if path.exists() else ""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{Fernet.generate_key().decode()}\n{older}")
    draft.replace(path)


def main(arguments: list[str]) -> int:
    """Run a command; return its exit status."""
    match arguments:
        case ["generate", path]:
            generate(Path(path))
        case ["rotate"]:
            from common.db.rotate import rotate  # noqa: PLC0415 - only this command needs a database

            settings = CryptSettings()
            try:
                counted = asyncio.run(rotate(settings.database_url, Crypt.of_file(settings.encryption_keys_file)))
            except ValueError as error:
                sys.stderr.write(f"crypt: {error}\n")
                return 2
            except Undecipherable:
                sys.stderr.write("crypt: a value was made with a key that is not in the file\n")
                return 1
            for column, rows in counted.items():
                sys.stdout.write(f"{column}: {rows} encrypted anew\n")
        case _:
            sys.stderr.write("usage: python -m common.crypt generate FILE | rotate\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

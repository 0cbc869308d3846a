"""The file of the encryption keys: Fernet keys, one a line; the first encrypts, every one decrypts.

The file is replaced whole or not at all, keeps its owner and mode, and is on the disk before anybody is told of a new
key: what a lost key had encrypted would be lost with it. People call a key by its name, the first eight hex digits of
its SHA-256.
"""

import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from cryptography.fernet import Fernet

Version = tuple[int, int, int]


def read(path: Path) -> list[str]:
    """The keys, the encrypting one first; raises ValueError, which quotes nothing, when they cannot be had."""
    try:
        keys = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        msg = f"the encryption keys file cannot be read: {reason}"
        raise ValueError(msg) from None
    fernets(keys)
    return keys


def fernets(keys: list[str]) -> list[Fernet]:
    """Who encrypts and decrypts with each key; raises ValueError when there is none, or one that is no key."""
    try:
        made = [Fernet(key) for key in keys]
    except ValueError:
        made = []
    if not made:
        msg = "the encryption keys must be Fernet keys, one a line, at least one"
        raise ValueError(msg)
    return made


def version(path: Path) -> Version | None:
    """What differs once the file was changed or replaced; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def name(key: str) -> str:
    """What people call a key."""
    return sha256(key.encode()).hexdigest()[:8]


def generate(path: Path) -> str:
    """Add a new key at the end, where it only decrypts; in a new file (mode 0600) it is the first. Its name."""
    key = Fernet.generate_key().decode()
    _change(path, lambda keys: [*keys, key])
    return name(key)


def promote(path: Path, called: str) -> None:
    """Make a key the first, so that it encrypts; raises ValueError when there is none of this name."""

    def first(keys: list[str]) -> list[str]:
        found = [key for key in keys if name(key) == called]
        if not found:
            msg = f"no key in the file is called {called}; there are {', '.join(map(name, keys))}"
            raise ValueError(msg)
        return found + [key for key in keys if key not in found]

    _change(path, first)


def keep_first(path: Path, expected: list[str]) -> None:
    """Take every key out but the first; raises ValueError when the file does not hold the expected keys any more."""

    def only(keys: list[str]) -> list[str]:
        if keys != expected:
            msg = "the encryption keys file was changed meanwhile"
            raise ValueError(msg)
        return keys[:1]

    _change(path, only)


def _change(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = path.resolve()  # a link to the file stays a link
    draft = path.with_name(f"{path.name}.new")
    try:
        # Whoever makes the draft is the only one who changes the file.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{draft} is there: somebody is changing the keys; if that was cut off, remove it"
        raise ValueError(msg) from None
    except OSError as error:
        msg = f"the encryption keys file cannot be changed: {error.strerror}"
        raise ValueError(msg) from None
    try:
        with os.fdopen(descriptor, "w") as file:
            there = path.stat() if path.exists() else None
            keys = change(read(path) if there is not None else [])
            if there is not None:
                os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
                os.fchown(descriptor, there.st_uid, there.st_gid)
            file.write("".join(f"{key}\n" for key in keys))
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        msg = f"the encryption keys file cannot be changed: {error.strerror}"
        raise ValueError(msg) from None
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

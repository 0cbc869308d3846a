"""Logins that are kept: in a file of the user's, shared by every process, or in memory."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from scribewire.folders import config_folder, private, write_private


@dataclass(frozen=True)
class Login:
    """What a login consists of; ``expires`` is when the access token does, in Unix seconds. No repr shows a token."""

    access: str
    refresh: str
    expires: float
    user: str = ""

    def __repr__(self) -> str:
        return f"Login(user={self.user!r}, expires={self.expires})"


class Keep(Protocol):
    """Holds the login at one gateway."""

    def alone(self) -> AbstractContextManager[object]:
        """Hold off everybody else who would renew this login."""
        ...

    def read(self) -> Login | None:
        """The login; None where there is none."""
        ...

    def write(self, login: Login | None) -> None:
        """Replace the login, or forget it."""
        ...


class InMemory:
    """A login as long as the program runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._login: Login | None = None

    def alone(self) -> AbstractContextManager[object]:
        """Hold off other threads."""
        return self._lock

    def read(self) -> Login | None:
        """The login."""
        return self._login

    def write(self, login: Login | None) -> None:
        """Replace it."""
        self._login = login


class LoginFile:
    """The logins of a user, one for each gateway, in a file that only the user can read.

    Parameters
    ----------
    path
        By default ``scribewire/login.json`` in the user's folder of settings.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_folder() / "login.json"

    def current(self) -> str | None:
        """Address of the gateway that was logged in to last."""
        found = self._read().get("current")
        return found if isinstance(found, str) else None

    def at(self, url: str) -> "KeptLogin":
        """The login at one gateway."""
        return KeptLogin(self, url.rstrip("/"))

    @contextmanager
    def alone(self, url: str) -> Iterator[None]:
        """Hold off every other process that would renew the login at a gateway."""
        private(self.path.parent)
        # A lock of its own for each gateway: one that does not answer holds up nobody else.
        name = "".join(letter if letter.isalnum() else "-" for letter in url)[-100:]
        with FileLock(self.path.with_name(f".login-{name}.lock"), thread_local=False):
            yield

    def get(self, url: str) -> Login | None:
        """The login at a gateway."""
        try:
            return Login(**self._read()["logins"][url])
        except (KeyError, TypeError):
            return None

    def put(self, url: str, login: Login | None) -> None:
        """Replace the login at a gateway, which becomes the current one, or forget it."""
        private(self.path.parent)
        with FileLock(self.path.with_name(".login.lock"), thread_local=False):
            document = self._read()
            logins = document.get("logins")
            logins = dict(logins) if isinstance(logins, dict) else {}
            current = document.get("current")
            if login is not None:
                fresh = url not in logins
                logins[url] = asdict(login)
                current = url if fresh or current is None else current
            else:
                logins.pop(url, None)
                current = next(iter(logins), None) if current == url else current
            write_private(self.path, json.dumps({"current": current, "logins": logins}, indent=2))

    def choose(self, url: str) -> None:
        """Make a gateway the current one."""
        with FileLock(self.path.with_name(".login.lock"), thread_local=False):
            write_private(self.path, json.dumps({**self._read(), "current": url}, indent=2))

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


@dataclass(frozen=True)
class KeptLogin:
    """The login at one gateway in the user's file."""

    file: LoginFile
    url: str

    def alone(self) -> AbstractContextManager[object]:
        """Hold off other processes."""
        return self.file.alone(self.url)

    def read(self) -> Login | None:
        """The login."""
        return self.file.get(self.url)

    def write(self, login: Login | None) -> None:
        """Replace it."""
        self.file.put(self.url, login)

"""Where the gateway is and what opens it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scribewire.errors import NotConfigured
from scribewire.folders import data_folder
from scribewire.logins import Keep, LoginFile


@dataclass(frozen=True)
class Gateway:
    """A gateway's address and the key or the login to it; no secret shows in a repr.

    Parameters
    ----------
    keep
        Where a login is kept; it is used instead of a key.
    """

    url: str
    key: str = ""
    keep: Keep | None = None

    def __repr__(self) -> str:
        return f"Gateway(url={self.url!r})"


EXAMPLE = "https://scribewire.example"


def is_address(url: str) -> bool:
    """Whether a text can be a gateway's address: http or https, a host, and nothing secret or beside the point."""
    try:
        parts = urlsplit(url)
        fine = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return fine and parts.scheme in {"http", "https"} and not (parts.username or parts.query or parts.fragment)


def no_address(url: str) -> str:
    """What to tell about a text that is no gateway's address; not what may be a password in it."""
    if "@" in url:
        return f"this is not the address of a gateway, such as {EXAMPLE}, which has neither a user nor a password in it"
    return f"{url} is not the address of a gateway, such as {EXAMPLE}"


def is_key(key: str) -> bool:
    """Whether a text can be sent as a key."""
    return key.isascii() and key.isprintable() and " " not in key


def home() -> Path:
    """The data folder of a platform on this machine: SCRIBEWIRE_HOME, else the user's data folder."""
    if chosen := os.environ.get("SCRIBEWIRE_HOME"):
        return Path(chosen).expanduser()
    return data_folder()


def address() -> str | None:
    """Where the gateway is: SCRIBEWIRE_URL, else the one logged in to, else the one running on this machine.

    SCRIBEWIRE_HOME names a platform on this machine, so what runs there comes before a login elsewhere.
    """
    if url := os.environ.get("SCRIBEWIRE_URL"):
        return url.rstrip("/")
    here = _running()[0]
    if os.environ.get("SCRIBEWIRE_HOME"):
        return here
    return LoginFile().current() or here


def discover() -> Gateway:
    """Find the gateway and what opens it: SCRIBEWIRE_API_KEY, else the login there, else the key of this machine.

    Raises
    ------
    NotConfigured
        When no gateway is known, or nothing that opens it; says what to do.
    """
    key = os.environ.get("SCRIBEWIRE_API_KEY", "").strip()
    if not is_key(key):
        raise NotConfigured("SCRIBEWIRE_API_KEY has characters that no key has: was something else copied?")
    url = address()
    if url is None:
        msg = (
            "no gateway is known: run `scribewire up --detach` or `scribewire login --url URL`, "
            "or set SCRIBEWIRE_URL and SCRIBEWIRE_API_KEY"
        )
        raise NotConfigured(msg)
    if key:
        return Gateway(url, key)
    kept = LoginFile().at(url)
    if kept.read() is not None:
        return Gateway(url, keep=kept)
    # The key of the platform on this machine is nobody else's business.
    here, key_file = _running()
    if os.environ.get("SCRIBEWIRE_URL") and url != here:
        raise NotConfigured(
            "SCRIBEWIRE_URL names a gateway and SCRIBEWIRE_API_KEY is not set: set it, or run `scribewire login`"
        )
    try:
        return Gateway(url, key_file.read_text().strip())
    except OSError as error:
        msg = f"the key of the platform on this machine cannot be read: {error.strerror}; run `scribewire login`"
        raise NotConfigured(msg) from error


def _running() -> tuple[str | None, Path]:
    """Address and key file of the platform running on this machine."""
    try:
        gateway = json.loads((home() / "state.json").read_text())["gateway"]
        return str(gateway["url"]).rstrip("/"), Path(gateway["key_file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, Path()

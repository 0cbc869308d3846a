"""Where the gateway is and which key opens it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from scribewire.errors import NotConfigured


@dataclass(frozen=True)
class Gateway:
    """A gateway's address and the key to it; the key never shows in a repr."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Gateway(url={self.url!r})"


def home() -> Path:
    """The data folder of a platform on this machine: SCRIBEWIRE_HOME, else the user's data folder."""
    if chosen := os.environ.get("SCRIBEWIRE_HOME"):
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "scribewire"


def discover() -> Gateway:
    """Find the gateway: SCRIBEWIRE_URL and SCRIBEWIRE_API_KEY, else the platform running on this machine.

    Raises
    ------
    NotConfigured
        When there is neither, or an address without its key; says what to do.
    """
    url, key = os.environ.get("SCRIBEWIRE_URL"), os.environ.get("SCRIBEWIRE_API_KEY")
    if url and not key:
        # The key of the platform on this machine is nobody else's business.
        raise NotConfigured("SCRIBEWIRE_URL names a gateway and SCRIBEWIRE_API_KEY is not set: set both, or neither")
    if not url or not key:
        try:
            running = json.loads((home() / "state.json").read_text())["gateway"]
            url = str(running["url"])
            key = key or Path(running["key_file"]).read_text().strip()
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = "no gateway is known: run `scribewire up --detach`, or set SCRIBEWIRE_URL and SCRIBEWIRE_API_KEY"
            raise NotConfigured(msg) from error
    return Gateway(url=url.rstrip("/"), key=key)

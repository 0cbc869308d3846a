"""How connections to a gateway are set up, blocking or not."""

import ssl
from importlib.metadata import version
from typing import Any

import httpx

AGENT = f"scribewire/{version('scribewire-client')}"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


def settings(url: str) -> dict[str, Any]:
    """What an `httpx` client for a gateway is made with."""
    # Reading the certificates of the world takes longer than most commands. Where there is no TLS there is nobody to
    # trust, and an empty context trusts nobody.
    verify = True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {"base_url": url, "headers": {"User-Agent": AGENT}, "timeout": TIMEOUT, "verify": verify}

"""Sites that yt-dlp knows, faked on this machine behind TLS: the proxy's connections to them end here."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.guard import open_guarded

CLYP = ("clyp.it", "api.clyp.it", "audio.clyp.it")
TRUST_IT = ("--no-check-certificates",)
"""What lets yt-dlp take the fake's certificate."""


@dataclass
class VideoSite:
    """clyp.it as its extractor sees it; ``audio_url`` is what it says where the sound is.

    ``segments`` are what a playlist there names, ``status`` is how the API answers, ``asked`` counts requests by host
    and path, and ``reached`` holds every host and port that the proxy was asked to connect to.
    """

    content: bytes
    audio_url: str = "https://audio.clyp.it/sound.ogg"
    status: int = 200
    location: str = ""
    segments: tuple[str, ...] = ()
    asked: Counter[str] = field(default_factory=Counter)
    reached: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0

    async def connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The proxy's way out: the fake for its own names, the guard for all others."""
        self.reached.append((host, port))
        if host in CLYP:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await open_guarded(host, port)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any path of any host."""
        self.asked[f"{request.host}{request.path}"] += 1
        if request.host == "audio.clyp.it":
            if self.location:
                return web.Response(status=302, headers={"Location": self.location})
            if request.path.endswith(".m3u8"):
                lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1"]
                lines += [f"#EXTINF:1,\n{segment}" for segment in self.segments]
                return web.Response(text="\n".join([*lines, "#EXT-X-ENDLIST", ""]))
            return web.Response(body=self.content, content_type="audio/ogg")
        if request.host == "api.clyp.it":
            told: dict[str, Any] = {"Title": "A title", "OggUrl": self.audio_url, "Duration": 2}
            return web.json_response(told, status=self.status, headers={"Retry-After": "55"})
        return web.Response(text="<html>a page</html>", content_type="text/html")


@asynccontextmanager
async def video_site(folder: Path, content: bytes) -> AsyncIterator[VideoSite]:
    """The fake, listening inside the block."""
    site = VideoSite(content)
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_certified(folder)).start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


def _certified(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clyp.it")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in CLYP]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "fake.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context

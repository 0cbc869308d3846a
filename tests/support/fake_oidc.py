"""An OIDC issuer on this machine: discovery, a JWK set, tokens; it rotates its keys, goes away, and counts requests."""

import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

AUDIENCE = "https://api.scribewire.test"


def segment(value: Any) -> str:
    """One part of a compact token: bytes and text as they are, everything else as JSON."""
    raw = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: Any, claims: Any, key: RSAPrivateKey, algorithm: hashes.HashAlgorithm | None = None) -> str:
    """A token with just this header and these claims, however odd, truly signed (PKCS #1 v1.5)."""
    body = f"{segment(header)}.{segment(claims)}"
    return f"{body}.{segment(key.sign(body.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256()))}"


def new_key(bits: int = 2048) -> RSAPrivateKey:
    """An RSA key."""
    return generate_private_key(65537, bits)


def public_jwk(kid: str, key: RSAPrivateKey) -> dict[str, str]:
    """The public part as a JWK."""
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": kid,
        "use": "sig",
        "alg": "RS256",
        "n": segment(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": segment(numbers.e.to_bytes(3)),
    }


class FakeIssuer:
    """The issuer; ``keys`` is what it publishes, ``requests`` how often each address was asked for."""

    def __init__(self) -> None:
        self.url = ""
        self.kid = "first"
        self.keys: dict[str, RSAPrivateKey] = {self.kid: new_key()}
        self.requests: Counter[str] = Counter()
        self.down = False
        self.discovery: Mapping[str, Any] | None = {}
        """What the discovery document says beside the usual; None for no such document."""
        self.jwks: bytes | None = None
        """What the key set is answered with instead of the keys."""

    @property
    def key(self) -> RSAPrivateKey:
        """The key that signs now."""
        return self.keys[self.kid]

    def rotate(self, kid: str, *, keep: bool = True) -> None:
        """Sign with a new key from now on; publish the old ones still, or no more."""
        self.keys = (self.keys if keep else {}) | {kid: new_key()}
        self.kid = kid

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, changed; a claim that is None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "auth0|ada", "iat": now, "exp": now + 3600}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def header(self, **changes: Any) -> dict[str, Any]:
        """A good header, changed; a member that is None is left out."""
        usual = {"alg": "RS256", "typ": "JWT", "kid": self.kid}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def token(self, **claims: Any) -> str:
        """A good token, with claims changed."""
        return signed(self.header(), self.claims(**claims), self.key)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests[request.path] += 1
        if self.down:
            return web.Response(status=503)
        match request.path:
            case "/.well-known/openid-configuration" if self.discovery is not None:
                usual = {"issuer": self.url, "jwks_uri": f"{self.url}keys"}
                return web.json_response(usual | dict(self.discovery))
            case "/keys" | "/.well-known/jwks.json":
                if self.jwks is not None:
                    return web.Response(body=self.jwks, content_type="application/json")
                return web.json_response({"keys": [public_jwk(kid, key) for kid, key in self.keys.items()]})
            case _:
                return web.Response(status=404)


@asynccontextmanager
async def fake_issuer() -> AsyncIterator[FakeIssuer]:
    """Serve on a free port until the block ends."""
    issuer = FakeIssuer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield issuer
    finally:
        await runner.cleanup()

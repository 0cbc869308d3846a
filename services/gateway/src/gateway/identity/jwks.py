"""The public keys of an OIDC issuer, fetched seldom and kept while the issuer is away."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from yarl import URL

from gateway.identity.refused import Refused

log = structlog.get_logger(__name__)

LARGEST_ANSWER = 256 * 1024
MOST_KEYS = 50
SHORTEST_RSA = 2048

REFRESH_AFTER = 3600.0
"""Seconds after which keys are fetched anew, so that one the issuer took back is forgotten."""
UNKNOWN_EVERY = 60.0
"""Seconds between fetches for the sake of a key id that is not known, and from a failed fetch to the next."""


class IssuerUnavailable(Exception):  # noqa: N818 - named for the state, not the class
    """The issuer never answered since the gateway started, so nobody can tell whether a token is good."""


class _Unusable(Exception):  # noqa: N818 - named for what the answer is
    """The issuer answered with something that is no set of keys."""


class Jwks:
    """The keys of one issuer.

    Parameters
    ----------
    issuer
        The ``iss`` of its tokens, an https address; plain http only on this machine.
    http
        Goes to the issuer; follows no redirects for it.
    seconds
        Longest wait for one answer.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, issuer: str, *, http: aiohttp.ClientSession, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._http = http
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._clock = clock
        self._keys: Mapping[str, RSAKey] | None = None
        self._tried = float("-inf")
        self._fetched = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> RSAKey:
        """The key with this id.

        Raises
        ------
        Refused
            The issuer had no such key when it was last asked, a minute ago at most, or before it went away.
        IssuerUnavailable
            It was never reached.
        """
        age = self._clock() - self._tried
        if self._keys is not None and (found := self._keys.get(kid)) is not None:
            if age >= UNKNOWN_EVERY and self._clock() - self._fetched >= REFRESH_AFTER:
                self._begin()  # Nobody waits: the keys there are go on.
            return found
        if age >= UNKNOWN_EVERY or self._fetching is not None:
            await asyncio.shield(self._begin())
        if self._keys is None:
            raise IssuerUnavailable
        if (found := self._keys.get(kid)) is None:
            raise Refused("unknown_key")
        return found

    async def warm(self) -> None:
        """Fetch the keys now, so that the first token need not wait."""
        await asyncio.shield(self._begin())

    async def close(self) -> None:
        """End a fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            document = await self._get(await self._address())
            self._keys, self._fetched = _usable(document), self._tried
            log.info("oidc_keys_fetched", issuer=self._issuer, keys=len(self._keys))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError, _Unusable) as error:
            log.warning("oidc_keys_not_fetched", issuer=self._issuer, reason=type(error).__name__, detail=str(error))
        finally:
            self._fetching = None

    async def _address(self) -> str:
        base = self._issuer.rstrip("/")
        try:
            document = await self._get(f"{base}/.well-known/openid-configuration")
        except aiohttp.ClientResponseError as error:
            if error.status != 404:
                raise
            return f"{base}/.well-known/jwks.json"
        if document.get("issuer") != self._issuer:
            msg = "the discovery document names another issuer"
            raise _Unusable(msg)
        return str(document.get("jwks_uri"))

    async def _get(self, address: str) -> dict[str, Any]:
        if not is_safe(address):
            msg = "an address is not https"
            raise _Unusable(msg)
        async with self._http.get(address, timeout=self._timeout, allow_redirects=False) as answer:
            if answer.status != 200:
                raise aiohttp.ClientResponseError(answer.request_info, (), status=answer.status)
            raw = b""
            async for chunk in answer.content.iter_any():
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    msg = "the answer is too large"
                    raise _Unusable(msg)
        document = json.loads(raw)
        if not isinstance(document, dict):
            msg = "the answer is no JSON object"
            raise _Unusable(msg)
        return document


def is_safe(address: str) -> bool:
    """Whether keys may be fetched from there: over https, or from this machine."""
    try:
        url = URL(address)
    except ValueError:
        return False
    return url.scheme == "https" or (url.scheme == "http" and url.host in {"127.0.0.1", "::1", "localhost"})


def _usable(document: Mapping[str, Any]) -> dict[str, RSAKey]:
    """The RSA signing keys of a JWK set, by id; others are left out, and so are short ones.

    A set that has none of them is an answer too: the issuer took its keys back.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        msg = "the answer is no JWK set"
        raise _Unusable(msg)
    found = {}
    for jwk in listed:
        if not isinstance(jwk, dict) or jwk.get("kty") != "RSA" or not isinstance(jwk.get("kid"), str):
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", "RS256") != "RS256":
            continue
        try:
            # Only the public numbers are taken: whatever else the issuer wrote into the key has no say here.
            key = RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
            bits = key.public_key.key_size
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if bits >= SHORTEST_RSA:
            found[jwk["kid"]] = key
    return found

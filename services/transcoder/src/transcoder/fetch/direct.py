"""A link to a file: fetched over HTTP, each hop behind the guard, nothing believed and nothing unpacked."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from common.errors import Permanent, StageError
from common.guard import BadUrl, Refused, check_url, guarded_connector
from transcoder.fetch import failures

MOST_REDIRECTS = 5
SLOWEST = 8 * 1024
"""Bytes a second, over the time of a stall, below which a server counts as silent: half of what speech has as MP3."""

_HEADERS = {"User-Agent": "Scribewire/1", "Accept": "*/*", "Accept-Encoding": "identity"}
_NOT_A_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


@dataclass(frozen=True)
class Limits:
    """What one fetch may take: bytes, seconds of waiting in all, and seconds of silence."""

    size: int
    seconds: float
    stall: float


class AtSite(Exception):  # noqa: N818 - named for what happened
    """A redirect leads to a page of a site that is not fetched as a link."""

    def __init__(self, url: str) -> None:
        super().__init__("a page of a video site")
        self.url = url


@asynccontextmanager
async def open_session(
    *, allow_private: bool = False, resolver: AbstractResolver | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that keeps nothing between requests and connects to public addresses only."""
    async with aiohttp.ClientSession(
        connector=guarded_connector(allow_private=allow_private, resolver=resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        headers=_HEADERS,
    ) as session:
        yield session


class Direct:
    """Fetches links.

    Parameters
    ----------
    session
        From `open_session`.
    allow_private
        Whether redirects may name private addresses as well; the session has the guard proper.
    """

    def __init__(self, session: aiohttp.ClientSession, limits: Limits, *, allow_private: bool = False) -> None:
        self._session = session
        self._limits = limits
        self._allow_private = allow_private

    async def chunks(self, url: str, *, is_site: Callable[[str], bool]) -> AsyncGenerator[bytes, None]:
        """The bytes at an address, as they come.

        Parameters
        ----------
        is_site
            Whether a redirect to this address is left to somebody else; `AtSite` is raised then.

        Raises
        ------
        Permanent, Transient
            See `transcoder.fetch.failures`; raised from nothing, for what was the matter may quote the address.
        """
        try:
            async with asyncio.timeout(self._limits.stall):
                answer = await self._ask(url, is_site)
        except TimeoutError:
            raise failures.stalled() from None
        try:
            self._check(answer)
            async for chunk in self._body(answer):
                yield chunk
        finally:
            answer.close()

    async def _ask(self, url: str, is_site: Callable[[str], bool]) -> aiohttp.ClientResponse:
        here = _url(url)
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._get(here)
            if answer.status not in {301, 302, 303, 307, 308}:
                return answer
            answer.close()
            here = self._next(here, answer.headers.get("Location", ""))
            if is_site(str(here)):
                raise AtSite(str(here))
        raise failures.bad_redirect("again and again")

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        try:
            return await self._session.get(url, allow_redirects=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _failure(error) from None

    def _next(self, here: URL, location: str) -> URL:
        try:
            there = here.join(_url(location))
            check_url(str(there), allow_private=self._allow_private)
        except BadUrl as error:
            if "public" in str(error):
                raise failures.not_public() from None
            raise failures.bad_redirect("to something that is no web address") from None
        except ValueError:
            raise failures.bad_redirect("to something that is no web address") from None
        if not location or (here.scheme == "https" and there.scheme != "https"):
            raise failures.bad_redirect("to an address without encryption" if location else "nowhere")
        return there

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status != 200:
            raise failures.refused(answer.status, answer.headers)
        if answer.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
            raise failures.encoded()
        if (answer.content_length or 0) > self._limits.size:
            raise failures.too_large(self._limits.size)

    async def _body(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        size = lately = 0
        waited = since = 0.0
        while True:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(min(self._limits.stall, self._limits.seconds - waited)):
                    chunk = await answer.content.readany()
            except TimeoutError:
                late = waited + time.monotonic() - begun >= self._limits.seconds
                raise (failures.too_slow(self._limits.seconds) if late else failures.stalled()) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise _failure(error) from None
            if not chunk:
                return
            passed = time.monotonic() - begun  # for the other side only: a slow store of ours is not its fault
            size, lately = size + len(chunk), lately + len(chunk)
            waited, since = waited + passed, since + passed
            if size > self._limits.size:
                raise failures.too_large(self._limits.size)
            if waited > self._limits.seconds:
                raise failures.too_slow(self._limits.seconds)
            if since >= self._limits.stall:
                if lately < SLOWEST * since:
                    raise failures.stalled()
                lately, since = 0, 0.0
            yield chunk


def _url(text: str) -> URL:
    """An address as it was written: what is signed must not be encoded in another way."""
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def _failure(error: Exception) -> StageError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return failures.untrusted()
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        unknown = isinstance(cause, socket.gaierror) and cause.errno in _NOT_A_NAME
        return failures.not_public() if unknown or isinstance(cause, Refused) else failures.unreachable()
    if isinstance(error, aiohttp.ClientResponseError):
        return Permanent("source_refused", "What answers at the address does not speak HTTP.")
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientPayloadError):
        return Permanent("source_bad_address", "The address is not a valid one.")
    return failures.unreachable()

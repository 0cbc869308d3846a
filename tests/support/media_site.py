"""A server of files as one finds them on the Internet, honest or not, and the one address that counts as outside."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from common import guard

OUTSIDE = "127.0.0.9"
"""Address of this machine that tests take for the Internet; every other one is inside."""


def outside_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the guard take `OUTSIDE` for a public address, and nothing else that it did not before."""
    real = guard.public
    monkeypatch.setattr(guard, "public", lambda address: str(address) == OUTSIDE or real(address))


@dataclass
class MediaSite:
    """Serves ``content``; ``asked`` counts the requests by path."""

    content: bytes
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    queries: list[str] = field(default_factory=list)
    """Raw query strings of requests for the file, as they came over the wire."""
    failures: list[web.Response] = field(default_factory=list)
    """Answers to give before the file."""
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    def application(self) -> web.Application:
        """Its paths."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        self.asked[path] += 1
        if path == "to":
            return web.Response(status=302, headers={"Location": request.query["where"]})
        if path == "chain":
            left = int(request.query["left"])
            return web.Response(status=307, headers={"Location": f"/chain?left={left - 1}" if left else "/talk.wav"})
        if path == "gzip":
            return web.Response(body=gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"})
        if path == "lied":
            return web.Response(body=self.content, headers={"Content-Encoding": "br"})
        if path == "page":
            return web.Response(text="<html><video src='talk.wav'></html>", content_type="text/html")
        if path in {"cut", "endless", "silent", "drip"}:
            return await self._stream(request, path)
        if path.isdigit():
            return web.Response(status=int(path), headers={"Retry-After": "77"})
        self.queries.append(request.raw_path.partition("?")[2])
        if self.failures:
            return self.failures.pop(0)
        return web.Response(body=self.content, content_type="audio/wav")

    async def _stream(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse()
        if kind == "cut":
            response.content_length = len(self.content)
        await response.prepare(request)
        try:
            if kind == "cut":
                await response.write(self.content[: len(self.content) // 2])
                assert request.transport is not None
                request.transport.close()
            elif kind == "silent":
                await response.write(self.content[:100])
                await self.silent.wait()
            elif kind == "drip":
                while not self.silent.is_set():
                    await response.write(b"x")
                    await asyncio.sleep(0.01)
            while kind == "endless":
                await response.write(bytes(65536))
        except ConnectionError:
            pass
        return response


@asynccontextmanager
async def media_site(content: bytes = b"RIFF" + bytes(range(256)) * 64) -> AsyncIterator[MediaSite]:
    """A site that listens at `OUTSIDE` inside the block."""
    site = MediaSite(content)
    runner = web.AppRunner(site.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, OUTSIDE, 0).start()
        site.url = f"http://{OUTSIDE}:{runner.addresses[0][1]}"
        yield site
    finally:
        site.silent.set()
        await runner.cleanup()

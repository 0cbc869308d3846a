"""The guarding proxy: who has its secret reaches public servers through it, and nobody reaches anything else."""

import asyncio
import base64
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest
from yarl import URL

from common.guard import open_guarded
from support.inner import INNER, Canary, Names, listening_canary
from support.media_site import OUTSIDE, MediaSite, media_site, outside_is_public
from transcoder.fetch.proxy import HOST, Proxy, guarding_proxy


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MediaSite]:
    outside_is_public(monkeypatch)
    async with media_site() as site:
        yield site


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening_canary() as canary:
        yield canary


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with guarding_proxy(open_guarded, idle=2.0) as proxy:
        yield proxy


def allowed(proxy: Proxy) -> str:
    user = URL(proxy.url)
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user.user}:{user.password}".encode()).decode()


async def said(proxy: Proxy, *lines: str) -> bytes:
    """What the proxy answers to a head, until it hangs up."""
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_plain_http_goes_through(site: MediaSite, proxy: Proxy) -> None:
    async with aiohttp.ClientSession() as client:
        for query in ("", "?sig=a%2Bb%3D"):
            async with client.get(URL(f"{site.url}/talk.wav{query}", encoded=True), proxy=proxy.url) as answer:
                assert await answer.read() == site.content
    assert site.queries == ["", "sig=a%2Bb%3D"]
    assert proxy.refused == 0


async def test_a_tunnel_carries_whatever_is_said(site: MediaSite, proxy: Proxy) -> None:
    where = site.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(f"CONNECT {where} HTTP/1.1\r\n{allowed(proxy)}\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(f"GET /talk.wav HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).endswith(site.content)
    writer.close()


@pytest.mark.parametrize("header", ["Proxy-Authorization: Basic Zm9vOmJhcg==", "Proxy-Authorization:", "X: y"])
async def test_without_the_secret_there_is_no_way(site: MediaSite, proxy: Proxy, header: str) -> None:
    where = site.url.removeprefix("http://")
    assert b" 407 " in await said(proxy, f"GET {site.url}/talk.wav HTTP/1.1", header)
    assert b" 407 " in await said(proxy, f"CONNECT {where} HTTP/1.1", header)
    assert not site.asked


async def test_the_server_learns_nothing_of_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    outside_is_public(monkeypatch)
    heads: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(hear, OUTSIDE, 0) as server:
        port = server.sockets[0].getsockname()[1]
        await said(proxy, f"GET http://{OUTSIDE}:{port} HTTP/1.1", allowed(proxy), "Proxy-Connection: a", "A: b")
    assert heads == [b"GET / HTTP/1.1\r\nA: b\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize("host", INNER)
async def test_nothing_inside_is_reached(host: str, proxy: Proxy, canary: Canary) -> None:
    for request in (f"CONNECT {host}:{canary.port} HTTP/1.1", f"GET http://{host}:{canary.port}/ HTTP/1.1"):
        answer = await said(proxy, request, allowed(proxy))
        assert not answer or answer.split(b" ")[1] in {b"403", b"502"}, answer
    assert canary.heard == 0


@pytest.mark.parametrize(
    "request_line",
    [
        "GET file:///etc/passwd HTTP/1.1",
        "GET ftp://127.0.0.1:{port}/ HTTP/1.1",
        "GET https://127.0.0.1:{port}/ HTTP/1.1",
        "GET / HTTP/1.1",
        "GET //127.0.0.1:{port}/ HTTP/1.1",
        "GET http:///127.0.0.1:{port}/ HTTP/1.1",
        "CONNECT 127.0.0.1 HTTP/1.1",
        "CONNECT 127.0.0.1:99999 HTTP/1.1",
        "CONNECT [::1 HTTP/1.1",
        "CONNECT  HTTP/1.1",
        "nonsense",
    ],
)
async def test_what_is_no_request_for_it_gets_nowhere(request_line: str, proxy: Proxy, canary: Canary) -> None:
    answer = await said(proxy, request_line.format(port=canary.port), allowed(proxy))
    assert not answer or answer.split(b" ")[1] == b"400"
    assert canary.heard == 0


async def test_a_name_is_looked_up_once(site: MediaSite, canary: Canary) -> None:
    """DNS rebinding: what was looked at is what is connected to."""
    port = site.url.rpartition(":")[2]
    names = Names([OUTSIDE], ["127.0.0.1"])
    async with guarding_proxy(partial(open_guarded, resolver=names), idle=2) as proxy:
        url = f"http://media.example.com:{port}/talk.wav"
        assert b" 200 " in await said(proxy, f"GET {url} HTTP/1.1", allowed(proxy), "Host: media.example.com")
        assert b" 403 " in await said(proxy, f"CONNECT media.example.com:{canary.port} HTTP/1.1", allowed(proxy))
        assert proxy.refused == 1
    assert canary.heard == 0


async def test_of_a_name_only_the_public_addresses_are_used(site: MediaSite, canary: Canary) -> None:
    names = Names(["127.0.0.1", "::1", OUTSIDE])
    async with guarding_proxy(partial(open_guarded, resolver=names), idle=2) as proxy:
        await said(proxy, f"CONNECT media.example.com:{canary.port} HTTP/1.1", allowed(proxy))
    assert canary.at == {OUTSIDE}


async def test_who_only_listens_is_not_cut_off_while_something_comes(site: MediaSite) -> None:
    host = site.url.removeprefix("http://")
    async with guarding_proxy(open_guarded, idle=0.2) as proxy:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        head = [f"GET {site.url}/drip HTTP/1.1", allowed(proxy), f"Host: {host}"]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(60 * 6)  # chunks of one byte, ten milliseconds apart at least
        writer.close()


async def test_a_silent_connection_is_cut_and_all_end_with_the_block(site: MediaSite) -> None:
    async with guarding_proxy(open_guarded, idle=0.1) as proxy:
        head = [f"GET {site.url}/silent HTTP/1.1", allowed(proxy), f"Host: {site.url.removeprefix('http://')}"]
        assert (await said(proxy, *head)).endswith(site.content[:100] + b"\r\n")
    async with guarding_proxy(open_guarded, idle=60) as proxy:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(("\r\n".join([head[0], allowed(proxy), head[2]]) + "\r\n\r\n").encode())
        await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()

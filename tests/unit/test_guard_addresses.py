"""The guard: no spelling of an inner address, no name and no redirect leads inside; the canary there hears nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp import web

from common.guard import BadUrl, Refused, check_url, guarded_connector, public
from support.inner import INNER, OUTER, Canary, Names, listening_canary


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening_canary() as canary:
        yield canary


@asynccontextmanager
async def session(names: Names | None = None, *, allow_private: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=guarded_connector(resolver=names, allow_private=allow_private),
        timeout=aiohttp.ClientTimeout(total=5),
    ) as client:
        yield client


async def refused(client: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        await client.post(url, data=b"secret", allow_redirects=False)
    assert isinstance(caught.value.os_error, Refused), caught.value.os_error


@pytest.mark.parametrize("host", INNER)
async def test_no_spelling_of_an_inner_address_is_connected_to(host: str, canary: Canary) -> None:
    async with session() as client:
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)) as caught:
            await client.post(f"http://{host}:{canary.port}/", data=b"secret", allow_redirects=False)
    # aiohttp itself refuses numbers that are not in the usual form, and a resolver may not know `localhost.`
    ours = isinstance(caught.value, aiohttp.ClientConnectorError) and isinstance(caught.value.os_error, Refused)
    assert ours or isinstance(caught.value, aiohttp.InvalidURL | aiohttp.ClientConnectorDNSError)
    assert canary.heard == 0


@pytest.mark.parametrize("host", INNER)
def test_inner_addresses_are_refused_when_they_are_named(host: str) -> None:
    with pytest.raises(BadUrl, match="public"):
        check_url(f"https://{host}/hook")


@pytest.mark.parametrize("address", OUTER)
def test_public_addresses_are_public(address: str) -> None:
    assert public(ip_address(address))
    check_url(f"https://{f'[{address}]' if ':' in address else address}:8443/hook?a=b")


async def test_a_name_that_resolves_inside_is_refused(canary: Canary) -> None:
    for address in ("127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"):
        async with session(Names([address])) as client:
            await refused(client, f"http://hooks.example.com:{canary.port}/")
    assert canary.heard == 0


async def test_a_name_that_changes_its_mind_is_refused(canary: Canary) -> None:
    """DNS rebinding: public when it is looked at, loopback when it is connected to."""
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    assert (await names.resolve("hooks.example.com", 80))[0]["host"] == "8.8.8.8"
    async with session(names) as client:
        await refused(client, f"http://hooks.example.com:{canary.port}/")
        await refused(client, f"http://hooks.example.com:{canary.port}/")
    assert canary.heard == 0


async def test_every_address_of_a_name_is_looked_at(canary: Canary) -> None:
    async with session(Names(["127.0.0.1", "::1", "10.0.0.1"])) as client:
        await refused(client, f"http://hooks.example.com:{canary.port}/")
    assert canary.heard == 0


async def test_a_redirect_is_an_answer_not_a_way(canary: Canary) -> None:
    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{canary.port}/")

    app = web.Application()
    app.router.add_post("/", away)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        # The first hop must be let through to show what happens at the second.
        async with session(allow_private=True) as client:
            answer = await client.post(f"http://127.0.0.1:{port}/", allow_redirects=False)
            assert answer.status == 307
    finally:
        await runner.cleanup()
    assert canary.heard == 0


async def test_private_addresses_may_be_allowed(canary: Canary) -> None:
    check_url("http://localhost:9000/", allow_private=True)
    async with session(allow_private=True) as client:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.post(f"http://127.0.0.1:{canary.port}/")
    assert canary.heard == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "//example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://",
        "http:///hook",
        "http://user:password@example.com/",
        "http://user@example.com/",
        "http://example.com:99999/",
        "http://[::1",
        "http://exa mple.com/",
        "http://example.com/\r\nX-Evil: 1",
        "http://example.com\\@127.0.0.1/",
        "http://example.com\x00.evil.com/",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        check_url(url)


@pytest.mark.parametrize("url", ["https://example.com", "http://example.com:8080/a?b=c", "https://münchen.example/x"])
def test_web_addresses_pass(url: str) -> None:
    check_url(url)

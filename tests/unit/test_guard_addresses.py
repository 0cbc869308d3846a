"""The guard: no spelling of an inner address, no name and no redirect leads inside; the canary there hears nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from common.guard import BadUrl, Refused, check_url, guarded_connector, public

INNER = [
    # loopback and this host, in every spelling a system's resolver reads
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.1",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    # private
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "0xc0a80001",
    "100.64.0.1",
    "100.100.100.200",
    # link-local and metadata
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "168.63.129.16",
    "192.0.0.192",
    # nobody's
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    # version 6
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[100::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
]
OUTER = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "168.63.129.17",
         "2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]  # fmt: skip


class Canary:
    """A server on every loopback address that counts the connections it hears."""

    def __init__(self) -> None:
        self.heard = 0
        self.port = 0

    def __call__(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    server = await asyncio.start_server(canary, "127.0.0.1", 0)
    canary.port = server.sockets[0].getsockname()[1]
    async with server:
        yield canary


class Names(AbstractResolver):
    """A resolver that answers each look-up with the next of its answers: what a hostile name server does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


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

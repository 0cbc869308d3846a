"""S6: addresses that lead inside, in every spelling and by every way an address is followed; canaries hear nobody."""

import asyncio
import base64
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from common.errors import Permanent
from common.guard import BadUrl, Refused, check_url, guarded_connector, open_guarded
from support.inner import INNER, Canary, Names, listening_canary
from support.media_site import MediaSite, media_site, outside_is_public
from support.promises import FULL, SEED, scenario
from support.spellings import leads_here, spellings
from transcoder.fetch.direct import Direct, Limits, open_session
from transcoder.fetch.proxy import HOST, Proxy, guarding_proxy

MORE = 2000 if FULL else 30
LIMITS = Limits(size=1_000_000, seconds=20.0, stall=20.0)

Way = Callable[[str], Awaitable[str]]


async def test_nothing_inside_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [*dict.fromkeys([*INNER, *spellings(SEED, MORE)])]
    with scenario("S6", "addresses that lead inside, by link, redirect, webhook and proxy") as tally:
        async with listening_canary() as canary:
            here = [host for host in hosts if leads_here(host)]
            reached = sum([await trusting(host, canary) for host in here])
            assert reached == len(here) >= 20, "a client that trusts reaches the canary, or its silence proves nothing"
            assert canary.heard == reached
            outside_is_public(monkeypatch)
            met: Counter[str] = Counter()
            async with media_site() as site, guarding_proxy(open_guarded, idle=5.0) as proxy:
                ways: list[Way] = [
                    named,
                    webhook,
                    linked,
                    partial(redirected, site),
                    partial(looked_up, canary.port),
                    partial(through, proxy, "CONNECT {there} HTTP/1.1"),
                    partial(through, proxy, "GET http://{there}/ HTTP/1.1"),
                ]
                for way in ways:
                    for host in hosts:
                        met[await way(f"{host}:{canary.port}")] += 1
                tally.figures |= {"spellings": len(hosts), "ways": len(ways), "refused by the guard": met["refused"]}
            assert canary.heard == reached
            assert met.keys() <= {"refused", "no address"}, met
        tally.faults = met.total()
        tally.figures |= {"reached by a trusting client": reached, "hits": canary.heard - reached}


async def trusting(host: str, canary: Canary) -> bool:
    """Whether the canary is reached without any guard."""
    before = canary.heard
    _, writer = await asyncio.open_connection(host.strip("[]"), canary.port)
    writer.close()
    await writer.wait_closed()
    return canary.heard == before + 1


async def named(there: str) -> str:
    """An address as it is given to the gateway."""
    with pytest.raises(BadUrl):
        check_url(f"http://{there}/")
    return "refused"


async def webhook(there: str) -> str:
    """As the notifier posts."""
    async with aiohttp.ClientSession(connector=guarded_connector()) as client:
        try:
            await client.post(f"http://{there}/", data=b"secret", allow_redirects=False)
        except aiohttp.InvalidURL:
            return "no address"
        except aiohttp.ClientConnectorDNSError:
            return "no address"
        except aiohttp.ClientConnectorError as error:
            return "refused" if isinstance(error.os_error, Refused) else repr(error.os_error)
    return "reached"


async def linked(there: str) -> str:
    """As the transcoder fetches."""
    return await _fetched(f"http://{there}/")


async def redirected(site: MediaSite, there: str) -> str:
    """As a public server sends it on."""
    site.failures = [web.Response(status=302, headers={"Location": f"http://{there}/latest/meta-data/"})]
    return await _fetched(f"{site.url}/talk.wav")


async def looked_up(port: int, there: str) -> str:
    """By a name that was public when it was looked at, and leads there when it is connected to."""
    host = there.removesuffix(f":{port}").strip("[]")
    if "%" in host or not (host.replace(".", "").isdecimal() or ":" in host):
        return "no address"  # a resolver answers with addresses in their usual form
    names = Names(["8.8.8.8"], [host])
    await names.resolve("media.example.com")
    try:
        _, writer = await open_guarded("media.example.com", port, resolver=names)
    except Refused:
        return "refused"
    except ValueError:
        return "no address"
    writer.close()
    return "reached"


async def through(proxy: Proxy, line: str, there: str) -> str:
    """As yt-dlp asks the proxy that is all of its network."""
    user = URL(proxy.url)
    secret = base64.b64encode(f"{user.user}:{user.password}".encode()).decode()
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(f"{line.format(there=there)}\r\nProxy-Authorization: Basic {secret}\r\n\r\n".encode())
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    status = answer.split(b" ")[1] if answer else b"400"  # it hangs up on what it cannot read
    return {b"403": "refused", b"400": "no address", b"502": "no address"}.get(status, "reached")


async def _fetched(url: str) -> str:
    async with open_session() as session:
        try:
            async for _ in Direct(session, LIMITS).chunks(url, is_site=lambda _: False):
                pass
        except Permanent as failure:
            return "refused" if failure.code in {"source_not_public", "source_redirect"} else "no address"
    return "reached"

"""Links to files: what comes is what was there, whatever else comes is refused in words, and nothing leads inside."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from common.errors import Permanent, StageError, Transient
from support.inner import INNER, Canary, Names, listening_canary
from support.media_site import OUTSIDE, MediaSite, media_site, outside_is_public
from transcoder.fetch.direct import AtSite, Direct, Limits, open_session

LIMITS = Limits(size=1_000_000, seconds=5.0, stall=2.0)


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MediaSite]:
    outside_is_public(monkeypatch)
    async with media_site() as site:
        yield site


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening_canary() as canary:
        yield canary


async def fetch(
    url: str,
    *,
    limits: Limits = LIMITS,
    resolver: AbstractResolver | None = None,
    sites: Sequence[str] = (),
) -> bytes:
    async with open_session(resolver=resolver) as session:
        chunks = Direct(session, limits).chunks(url, is_site=lambda there: there in sites)
        return b"".join([chunk async for chunk in chunks])


async def refused(url: str, code: str, **options: object) -> StageError:
    with pytest.raises((Permanent, Transient)) as caught:
        await fetch(url, **options)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    said = caught.value.message
    assert not re.search(r"127|localhost|token|://", said), said
    return caught.value


async def test_the_bytes_are_those_of_the_server_and_what_is_signed_is_asked_for_as_it_was_signed(
    site: MediaSite,
) -> None:
    query = "sv=2025-01-05&sig=a%2Bb%2Fc%3D%3d&se=2026-01-01T00%3A00%3A00Z&x=%e4"
    assert await fetch(f"{site.url}/talk.wav?{query}#t=3") == site.content
    assert site.queries == [query]


async def test_redirects_are_followed_up_to_five(site: MediaSite) -> None:
    assert await fetch(f"{site.url}/chain?left=4") == site.content
    assert isinstance(await refused(f"{site.url}/chain?left=5", "source_redirect"), Permanent)


async def test_a_redirect_keeps_what_is_signed(site: MediaSite) -> None:
    there = f"{site.url}/talk.wav?sig=a%252Bb%253D"
    assert await fetch(f"{site.url}/to?where={there}") == site.content
    assert site.queries == ["sig=a%2Bb%3D"]


async def test_a_redirect_to_a_video_site_is_handed_on(site: MediaSite) -> None:
    page = "https://video.example/watch?v=1"
    with pytest.raises(AtSite) as caught:
        await fetch(f"{site.url}/to?where={page}", sites=[page])
    assert caught.value.url == page


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "source_not_found", Permanent),
        (410, "source_not_found", Permanent),
        (401, "source_forbidden", Permanent),
        (403, "source_forbidden", Permanent),
        (400, "source_refused", Permanent),
        (204, "source_refused", Permanent),
        (206, "source_refused", Permanent),
        (408, "source_unavailable", Transient),
        (429, "source_busy", Transient),
        (500, "source_unavailable", Transient),
        (503, "source_unavailable", Transient),
    ],
)
async def test_a_status_is_a_failure(site: MediaSite, status: int, code: str, kind: type[StageError]) -> None:
    error = await refused(f"{site.url}/{status}?token=s3cret", code)
    assert isinstance(error, kind)
    if isinstance(error, Transient):
        assert error.retry_after == 77


@pytest.mark.parametrize(
    ("path", "code", "kind"),
    [
        ("gzip", "source_encoded", Permanent),
        ("lied", "source_encoded", Permanent),
        ("cut", "source_unreachable", Transient),
        ("endless", "too_large", Permanent),
    ],
)
async def test_a_body_that_is_no_good(site: MediaSite, path: str, code: str, kind: type[StageError]) -> None:
    assert isinstance(await refused(f"{site.url}/{path}", code), kind)


async def test_too_large_is_refused_before_a_byte_is_read(site: MediaSite) -> None:
    limits = Limits(size=len(site.content) - 1, seconds=5, stall=2)
    await refused(f"{site.url}/talk.wav", "too_large", limits=limits)
    exact = Limits(size=len(site.content), seconds=5, stall=2)
    assert await fetch(f"{site.url}/talk.wav", limits=exact) == site.content


async def test_a_server_that_falls_silent_or_drips_is_put_off(site: MediaSite) -> None:
    limits = Limits(size=1_000_000, seconds=5, stall=0.2)
    for path in ("silent", "drip"):
        assert isinstance(await refused(f"{site.url}/{path}", "source_timeout", limits=limits), Transient)


async def test_there_is_an_end_to_waiting(site: MediaSite) -> None:
    limits = Limits(size=10**12, seconds=0.2, stall=5)
    for path in ("silent", "endless"):
        assert isinstance(await refused(f"{site.url}/{path}", "source_too_slow", limits=limits), Permanent)


async def test_a_server_that_is_down_is_tried_again(canary: Canary, site: MediaSite) -> None:
    assert isinstance(await refused(f"http://{OUTSIDE}:1/talk.wav", "source_unreachable"), Transient)


async def test_what_answers_may_not_speak_http(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    outside_is_public(monkeypatch)  # the canary hangs up on everybody, wherever it is called
    await refused(f"http://{OUTSIDE}:{canary.port}/", "source_unreachable")
    assert canary.heard > 0


@pytest.mark.parametrize("host", INNER)
async def test_no_inner_address_is_fetched(host: str, canary: Canary) -> None:
    with pytest.raises(Permanent) as caught:
        await fetch(f"http://{host}:{canary.port}/")
    assert caught.value.code in {"source_not_public", "source_bad_address"}
    assert canary.heard == 0


@pytest.mark.parametrize("host", INNER)
async def test_no_redirect_leads_to_an_inner_address(host: str, canary: Canary, site: MediaSite) -> None:
    site.failures = [web.Response(status=302, headers={"Location": f"http://{host}:{canary.port}/latest/meta-data/"})]
    with pytest.raises(Permanent) as caught:
        await fetch(f"{site.url}/talk.wav")
    assert caught.value.code in {"source_not_public", "source_redirect"}
    assert (canary.heard, site.asked) == (0, {"talk.wav": 1})


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://{inner}/",
        "gopher://{inner}/_x",
        "data:audio/wav;base64,UklGRg==",
        "//{inner}/",
        "http://user@{inner}/",
        "http://{outer}@{inner}/",
        "http://{inner}#@{outer}/",
        "http://{inner}\\@{outer}/",
        "http://[::1",
        "http://localhost.:{port}/",
        "http://a.localhost:{port}/",
        "http://metadata.google.internal/",
        "",
        "http://\x01{inner}/",
    ],
)
async def test_no_redirect_leads_out_of_the_web(location: str, canary: Canary, site: MediaSite) -> None:
    there = location.format(inner=f"127.0.0.1:{canary.port}", outer=f"{OUTSIDE}:80", port=canary.port)
    site.failures = [web.Response(status=302, headers={"Location": there.replace("\x01", "\t")})]
    with pytest.raises(Permanent) as caught:
        await fetch(f"{site.url}/talk.wav")
    assert caught.value.code in {"source_not_public", "source_redirect"}
    assert canary.heard == 0


@pytest.mark.parametrize(
    "location", ["\\\\{inner}\\x", "http:///{inner}/", "/@{inner}/", "@{inner}", "?http://{inner}/"]
)
async def test_what_only_looks_like_another_server_is_a_place_on_this_one(
    location: str, canary: Canary, site: MediaSite
) -> None:
    there = location.format(inner=f"127.0.0.1:{canary.port}")
    site.failures = [web.Response(status=302, headers={"Location": there})]
    assert await fetch(f"{site.url}/talk.wav") == site.content
    assert canary.heard == 0


async def test_a_chain_that_ends_inside_is_cut_before_its_end(canary: Canary, site: MediaSite) -> None:
    inner = f"http://127.0.0.1:{canary.port}/"
    site.failures = [
        web.Response(status=301, headers={"Location": "/two"}),
        web.Response(status=303, headers={"Location": f"{site.url}/three"}),
        web.Response(status=308, headers={"Location": inner}),
    ]
    await refused(f"{site.url}/one", "source_not_public")
    assert canary.heard == 0


@pytest.mark.parametrize("answers", [[["127.0.0.1"]], [["::1"]], [["169.254.169.254"]], [["::ffff:127.0.0.1"]]])
async def test_a_name_that_resolves_inside_is_refused(answers: list[list[str]], canary: Canary) -> None:
    await refused(f"http://media.example.com:{canary.port}/", "source_not_public", resolver=Names(*answers))
    assert canary.heard == 0


async def test_a_name_is_reached_by_its_public_addresses_only(site: MediaSite, canary: Canary) -> None:
    port = site.url.rpartition(":")[2]
    both = Names(["127.0.0.1", OUTSIDE, "10.0.0.1"])
    assert await fetch(f"http://media.example.com:{port}/talk.wav", resolver=both) == site.content
    await refused(f"http://media.example.com:{canary.port}/", "source_unreachable", resolver=both)
    assert canary.at == {OUTSIDE}


async def test_a_name_that_changes_its_mind_between_hops_is_refused(site: MediaSite, canary: Canary) -> None:
    names = Names([OUTSIDE], ["127.0.0.1"])
    port = site.url.rpartition(":")[2]
    site.failures = [web.Response(status=302, headers={"Location": f"http://media.example.com:{canary.port}/"})]
    await refused(f"http://media.example.com:{port}/talk.wav", "source_not_public", resolver=names)
    assert canary.heard == 0


async def test_an_unknown_name_is_told_like_an_inner_one(site: MediaSite) -> None:
    unknown = await refused("http://no-such-name.invalid/", "source_not_public")
    inner = await refused("http://10.0.0.1/", "source_not_public")
    assert str(unknown) == str(inner)

"""Pages of video sites: the real yt-dlp as a process, a site it knows as a fake, and canaries it is sent to."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from common.errors import Permanent, StageError, Transient
from support.inner import Canary, listening_canary
from support.video_site import TRUST_IT, VideoSite, video_site
from support.waiting import eventually
from transcoder.fetch.direct import Limits
from transcoder.fetch.pages import NotAPage, Pages
from transcoder.ports import Cancelled
from transcoder.settings import VIDEO_SITES

SOUND = b"OggS" + bytes(range(256)) * 40
PAGE = "https://clyp.it/iynkjk4b?token=s3cret"
LIMITS = Limits(size=100_000, seconds=60, stall=10)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[VideoSite]:
    async with video_site(tmp_path, SOUND) as site:
        yield site


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening_canary() as canary:
        yield canary


async def sound(site: VideoSite, url: str = PAGE, *, limits: Limits = LIMITS) -> bytes:
    pages = Pages(["clyp.it"], limits, connect=site.connect, more=TRUST_IT)
    return b"".join([chunk async for chunk in pages.chunks(url, cancelled=lambda: False)])


async def refused(site: VideoSite, *, limits: Limits = LIMITS) -> StageError:
    with pytest.raises((Permanent, Transient)) as caught:
        await sound(site, limits=limits)
    assert "s3cret" not in caught.value.message
    assert "clyp" not in caught.value.message
    return caught.value


def children() -> list[psutil.Process]:
    """Processes of ours that run yt-dlp."""
    return [one for one in psutil.Process().children() if "transcoder.fetch.ytdlp" in one.cmdline()]


async def test_the_sound_of_a_page_comes_and_nothing_is_left_behind(
    site: VideoSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    fetching = asyncio.create_task(sound(site))
    [process] = await eventually(children)
    assert "s3cret" not in " ".join(process.cmdline())
    assert "s3cret" not in str(process.environ())
    assert await fetching == SOUND
    assert set(site.reached) == {("api.clyp.it", 443), ("clyp.it", 443), ("audio.clyp.it", 443)}
    assert not list((tmp_path / "temporary").iterdir())
    assert not children()


@pytest.mark.parametrize("where", ["http://127.0.0.1:{port}/a.ogg", "http://[::ffff:7f00:1]:{port}/a.ogg"])
async def test_a_site_cannot_send_it_inside(site: VideoSite, canary: Canary, where: str) -> None:
    site.audio_url = where.format(port=canary.port)
    assert (await refused(site)).code == "source_not_public"
    assert canary.heard == 0


async def test_nor_can_a_redirect(site: VideoSite, canary: Canary) -> None:
    site.location = f"http://localhost:{canary.port}/latest/meta-data/"
    assert (await refused(site)).code == "source_not_public"
    assert canary.heard == 0
    assert site.asked["audio.clyp.it/sound.ogg"] == 1


async def test_nor_can_a_playlist(site: VideoSite, canary: Canary) -> None:
    site.audio_url = "https://audio.clyp.it/list.m3u8"
    site.segments = ("/one.ts", "/two.ts")
    assert await sound(site) == SOUND + SOUND
    site.segments = ("/one.ts", f"http://127.0.0.1:{canary.port}/two.ts")
    assert (await refused(site)).code == "source_not_public"
    assert canary.heard == 0


async def test_nor_to_files_of_ours(site: VideoSite, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SOUND)
    site.audio_url = (tmp_path / "secret").as_uri()
    assert isinstance(await refused(site), Permanent)


@pytest.mark.parametrize(("status", "code"), [(404, "source_not_found"), (403, "source_forbidden")])
async def test_what_the_site_refuses_is_refused(site: VideoSite, status: int, code: str) -> None:
    site.status = status
    error = await refused(site)
    assert (type(error), error.code) == (Permanent, code)  # type: ignore[attr-defined]


async def test_a_site_that_is_busy_is_asked_later(site: VideoSite) -> None:
    site.status = 429
    error = await refused(site)
    assert isinstance(error, Transient)
    assert (error.code, error.retry_after) == ("source_busy", 55)


async def test_what_is_too_large_is_refused(site: VideoSite) -> None:
    assert (await refused(site, limits=Limits(size=1000, seconds=60, stall=10))).code == "too_large"


async def test_an_address_that_no_extractor_knows_is_no_page(site: VideoSite, canary: Canary) -> None:
    with pytest.raises(NotAPage):
        await sound(site, f"http://127.0.0.1:{canary.port}/page")
    assert (canary.heard, site.reached) == (0, [])


async def test_an_address_is_never_an_option(site: VideoSite) -> None:
    with pytest.raises(NotAPage):
        await sound(site, "--version")


async def test_it_ends_with_its_time_and_with_its_job(site: VideoSite) -> None:
    with pytest.raises(Permanent) as caught:
        await sound(site, limits=Limits(size=1000, seconds=0.2, stall=10))
    assert caught.value.code == "source_too_slow"
    assert not children()
    pages = Pages(["clyp.it"], LIMITS, connect=site.connect, more=TRUST_IT)
    with pytest.raises(Cancelled):
        await anext(pages.chunks(PAGE, cancelled=lambda: True))
    assert not children()


ATTEMPTS = {
    "connect": "socket.create_connection(('127.0.0.1', {port}), 2)",
    "connect by another family": "socket.socket(socket.AF_INET6).connect(('::1', {port}))",
    "look up a name": "socket.getaddrinfo('metadata.google.internal', 80)",
    "send a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "listen": "socket.socket().bind(('127.0.0.1', 0))",
    "reach a socket of the system": "socket.socket(socket.AF_UNIX).connect('/run/x')",
    "run a program": "subprocess.run(['/bin/true'])",
    "run a shell": "os.system('true')",
    "fork": "os.fork()",
    "write elsewhere": "open('../escaped', 'w')",
    "write by a link": "(os.symlink('/tmp', 'link'), open('link/scribewire-escaped', 'w'))",
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_what_runs_beside_yt_dlp_is_shut_in(what: str, tmp_path: Path) -> None:
    """The hook in the process itself: whatever an extractor does, only the proxy hears of it."""
    (tmp_path / "inside").mkdir()
    program = f"""
import os, socket, subprocess, sys
from transcoder.fetch.ytdlp import Order, shut_in
order = Order(url="", proxy="", proxy_port=9, size=1, cpu_seconds=1, memory_mib=1, stall=1)
sys.addaudithook(shut_in(order, os.path.realpath(".")))
open("allowed", "w").close()
try:
    {ATTEMPTS[what].format(port=9_999)}
except PermissionError as error:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=tmp_path / "inside", env={"PATH": os.defpath}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == "refused\n", done.stderr
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://www.youtube.com/watch?v=1", True),
        ("https://YOUTU.BE./1", True),
        ("https://player.vimeo.com/video/1", True),
        ("https://notyoutube.com/", False),
        ("https://youtube.com.evil.example/", False),
        ("https://evil.example/youtube.com", False),
        ("https://evil.example/?x=https://youtube.com/", False),
        ("http://[::1", False),
    ],
)
def test_sites_are_known_by_whole_labels(url: str, known: bool) -> None:
    assert Pages(VIDEO_SITES, LIMITS, connect=VideoSite(b"").connect).has(url) is known

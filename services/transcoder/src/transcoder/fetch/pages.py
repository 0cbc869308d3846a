"""A page of a video site: yt-dlp finds the sound, as a process whose every byte goes through the guarding proxy."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from yarl import URL

from common.blobs.threads import in_thread
from common.errors import Permanent, StageError, Transient
from transcoder.fetch import failures
from transcoder.fetch.direct import Limits
from transcoder.fetch.proxy import Connect, guarding_proxy
from transcoder.fetch.ytdlp import MEDIA, Order, Result
from transcoder.ports import Cancelled

_RESULT = TypeAdapter(Result)
_LONGEST_RESULT = 64 * 1024
_LOOK_SECONDS = 1.0
_READ = 1024 * 1024


class NotAPage(Exception):  # noqa: N818 - named for what it is
    """yt-dlp knows no way to this address; it may be a link to a file."""


class Pages:
    """Fetches the sound of pages.

    Parameters
    ----------
    sites
        Names of hosts whose pages are given to yt-dlp, with everything below them.
    connect
        Opens the connections of the proxy.
    cpu_seconds, memory_mib
        What yt-dlp may use for one page.
    more
        Further options of yt-dlp, for tests.
    """

    def __init__(
        self,
        sites: Sequence[str],
        limits: Limits,
        *,
        connect: Connect,
        cpu_seconds: int = 900,
        memory_mib: int = 1536,
        more: Sequence[str] = (),
    ) -> None:
        self._sites = tuple(site.lower().strip(".") for site in sites)
        self._limits = limits
        self._connect = connect
        self._cpu_seconds = cpu_seconds
        self._memory_mib = memory_mib
        self._more = list(more)

    def has(self, url: str) -> bool:
        """Whether the address is one of the sites', compared by whole labels of its name."""
        try:
            host = (URL(url).host or "").lower().rstrip(".")
        except ValueError:
            return False
        return any(host == site or host.endswith("." + site) for site in self._sites)

    async def chunks(self, url: str, *, cancelled: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """The bytes of the sound on a page, once all of it is here.

        Raises
        ------
        NotAPage
            When yt-dlp knows no way to it.
        Permanent, Transient, Cancelled
            Like `transcoder.fetch.direct.Direct.chunks`.
        """
        folder = await in_thread(tempfile.TemporaryDirectory, prefix="scribewire-page-", ignore_cleanup_errors=True)
        try:
            async with guarding_proxy(self._connect, idle=self._limits.stall) as proxy:
                order = Order(
                    url=url,
                    proxy=proxy.url,
                    proxy_port=proxy.port,
                    size=self._limits.size,
                    cpu_seconds=self._cpu_seconds,
                    memory_mib=self._memory_mib,
                    stall=self._limits.stall,
                    more=self._more,
                )
                result = await self._run(order, folder.name, cancelled)
            if result.kind != "done":
                raise failures.not_public() if proxy.refused else self._failure(result)
            async for chunk in _read(Path(folder.name, MEDIA), self._limits.size):
                yield chunk
        finally:
            await in_thread(folder.cleanup)

    async def _run(self, order: Order, folder: str, cancelled: Callable[[], bool]) -> Result:
        # The order goes through a pipe: arguments are for everybody on the machine to read.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-B", "-m", "transcoder.fetch.ytdlp",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            cwd=folder, env={"PATH": "/nonexistent", "HOME": folder, "TMPDIR": folder, "LC_ALL": "C.UTF-8"},
            start_new_session=True, limit=_LONGEST_RESULT,
        )  # fmt: skip
        talking = asyncio.ensure_future(process.communicate(json.dumps(asdict(order)).encode()))
        try:
            async with asyncio.timeout(self._limits.seconds):
                while not talking.done():
                    if cancelled():
                        raise Cancelled
                    await asyncio.wait({talking}, timeout=_LOOK_SECONDS)
            return _RESULT.validate_json(talking.result()[0])
        except TimeoutError:
            raise failures.too_slow(self._limits.seconds) from None
        except ValidationError:
            return Result("killed" if process.returncode in {-signal.SIGKILL, -signal.SIGTERM} else "failed")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await asyncio.gather(talking, return_exceptions=True)

    def _failure(self, result: Result) -> StageError | NotAPage:
        if result.kind == "not a page":
            return NotAPage()
        if result.kind == "status":
            return failures.refused(result.status, {"Retry-After": result.retry_after} if result.retry_after else {})
        if result.kind == "too large":
            return failures.too_large(self._limits.size)
        return _FAILURES.get(result.kind, _unreadable)()


def _live() -> Permanent:
    return Permanent("source_live", "The page has a live stream or one that is still to come, not a recording.")


def _protected() -> Permanent:
    return Permanent("encrypted", "The recording is copy-protected.")


def _busy() -> Transient:
    return Transient("The video site has had enough of our requests for now.", code="source_busy")


def _unreadable() -> Permanent:
    return Permanent("source_unreadable", "No recording can be got from the page. Send the file itself.")


_FAILURES: dict[str, Callable[[], StageError]] = {
    "live": _live,
    "protected": _protected,
    "forbidden": failures.forbidden,
    "not found": failures.not_found,
    "busy": _busy,
    "network": failures.unreachable,
    "killed": failures.unreachable,
}


async def _read(path: Path, limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    file = await in_thread(path.open, "rb")
    try:
        while block := await in_thread(file.read, _READ):
            size += len(block)
            if size > limit:
                raise failures.too_large(limit)
            yield block
    finally:
        await in_thread(file.close)

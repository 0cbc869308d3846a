"""The process that runs yt-dlp for one page: limited, cut off from all but its folder and the proxy, silent.

``python -I -m transcoder.fetch.ytdlp`` reads an `Order` as JSON from its standard input, leaves the file as ``media``
in its working folder and writes a `Result` as JSON to its standard output.
"""

import errno
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from transcoder.worker import kernel

MEDIA = "media"
"""Name of the file in the working folder."""


@dataclass(frozen=True)
class Order:
    """What to fetch, through which proxy (its address with the secret, and its port), and within which limits."""

    url: str
    proxy: str
    proxy_port: int
    size: int
    cpu_seconds: int
    memory_mib: int
    stall: float
    more: list[str] = field(default_factory=list)
    """Further options of yt-dlp, for tests."""


@dataclass(frozen=True)
class Result:
    """``kind`` is ``done``, ``not a page``, ``status`` (with the HTTP status) or a key of `_SAID`."""

    kind: str
    status: int = 0
    retry_after: str | None = None


_SAID: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("not a page", r"no suitable extractor|unsupported url:"),
        ("busy", r"not a bot|rate.?limit|too many requests|try again later"),
        ("live", r"live event|premieres? in|will begin in|not currently live|is offline|has not started|is live"),
        ("protected", r"\bDRM\b"),
        (
            "forbidden",
            r"private|sign in|log ?in|logged.in|password|members|subscriber|premium|purchase|age.restrict|your country",
        ),
        ("not found", r"unavailable|not available|removed|deleted|no longer|does not exist|not found|terminated"),
        ("too large", r"larger than max-filesize|file too large"),
    )
)
"""What yt-dlp says, and what it means; the more telling first. The words themselves stay here: they quote the page."""


def arguments(order: Order) -> list[str]:
    """yt-dlp's command line: one item, one file, no configuration, no helpers, no other programs."""
    return [
        "--ignore-config", "--no-plugin-dirs", "--no-js-runtimes", "--no-remote-components", "--no-cache-dir",
        "--use-extractors", "default,-generic", "--no-exec", "--no-playlist", "--playlist-items", "1",
        "--abort-on-error", "--quiet", "--no-warnings", "--no-progress", "--color", "never",
        "--proxy", order.proxy, "--socket-timeout", f"{order.stall:g}", "--xff", "never",
        "--retries", "2", "--extractor-retries", "1", "--fragment-retries", "2", "--abort-on-unavailable-fragments",
        "--format", "bestaudio/best", "--match-filters", "!is_live & live_status!=?is_upcoming",
        "--max-filesize", str(order.size), "--output", MEDIA, "--no-part", "--no-continue", "--no-mtime",
        "--downloader", "native", "--fixup", "never", "--ffmpeg-location", "/nonexistent",
        *order.more, "--", order.url,
    ]  # fmt: skip


def shut_in(order: Order, folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook, which yt-dlp, being Python, cannot get round: only the proxy is reached, nothing is run."""
    forbidden = {
        "socket.bind", "socket.sendto", "socket.sendmsg", "socket.gethostbyname", "socket.gethostbyaddr",
        "socket.getnameinfo", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
        "os.spawn", "pty.spawn",
    }  # fmt: skip
    there = ("127.0.0.1", order.proxy_port)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = details
            inside = isinstance(path, int) or os.path.realpath(path).startswith(folder + os.sep)
            if flags & writing and not inside and path != os.devnull:
                raise PermissionError(errno.EACCES, "only the working folder is written to")
        elif (
            event in forbidden
            or (event == "socket.connect" and details[1] != there)
            or (event == "socket.getaddrinfo" and details[0] != there[0])
        ):
            raise PermissionError(errno.EACCES, f"{event} is not for this process")

    return watch


def _limit(order: Order) -> None:
    limits = {
        resource.RLIMIT_CPU: order.cpu_seconds,
        resource.RLIMIT_FSIZE: order.size + 1024 * 1024,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
    }
    if sys.platform == "linux":  # Darwin does not know a limit on address space
        limits[resource.RLIMIT_AS] = order.memory_mib << 20
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))
    with suppress(OSError):  # not everywhere
        kernel.die_with_parent(signal.SIGKILL)
        kernel.forbid_new_privileges()


def run(order: Order) -> Result:
    """Fetch; whatever goes wrong is a result."""
    import yt_dlp  # noqa: PLC0415 - large, and only this process has limits to read it under
    from yt_dlp.globals import all_plugins_loaded, plugin_dirs  # noqa: PLC0415

    plugin_dirs.value, all_plugins_loaded.value = [], True
    sys.addaudithook(shut_in(order, os.path.realpath(".")))
    try:
        options = yt_dlp.parse_options(arguments(order))
        with yt_dlp.YoutubeDL(options.ydl_opts) as downloader:
            info = downloader.extract_info(options.urls[0], download=True)
    except MemoryError:
        return Result("too large")
    except Exception as error:  # some extractors let through whatever a page made go wrong
        return _meaning(error)
    if Path(MEDIA).is_file():
        return Result("done")
    return Result("live" if _is_live(info) else "too large")


def _is_live(info: Any) -> bool:
    return isinstance(info, dict) and info.get("live_status") in {"is_live", "is_upcoming", "post_live"}


def _meaning(error: BaseException) -> Result:
    from yt_dlp.networking.exceptions import HTTPError, TransportError  # noqa: PLC0415

    causes = list(_causes(error))
    said = " ".join(str(cause) for cause in causes)
    for cause in causes:
        if isinstance(cause, HTTPError):
            return Result("status", int(cause.status), cause.response.headers.get("Retry-After"))
        if isinstance(cause, OSError) and cause.errno == errno.EFBIG:
            return Result("too large")
    for kind, pattern in _SAID:
        if pattern.search(said):
            return Result(kind)
    return Result("network" if any(isinstance(cause, TransportError) for cause in causes) else "failed")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    left: list[Any] = [error]
    while left:
        one = left.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [getattr(one, "cause", None), one.__cause__, one.__context__]
            left += list(getattr(one, "exc_info", None) or ())[1:2]


def main() -> None:
    """Read the order, say the result."""
    order = Order(**json.load(sys.stdin))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed is no result
    _limit(order)
    with out:
        json.dump(asdict(run(order)), out)


if __name__ == "__main__":
    main()

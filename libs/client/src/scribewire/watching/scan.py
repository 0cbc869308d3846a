"""What lies in a folder, and which of it has been left alone long enough to be whole.

The folder is looked at every few seconds rather than listened to: events of a file system are not sent over NFS and
SMB, are lost when too many come, and do not say that a writer has finished. Looking is needed after a restart anyway.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from scribewire.signature import Signature

_SUFFIXES = """
3gp aac aif aiff amr avi caf flac flv m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpeg mpg mts oga ogg ogv opus ts wav webm wma
wmv
"""

MEDIA = tuple(f"*.{suffix}" for suffix in _SUFFIXES.split())
"""What is taken for media by its name; the gateway looks at what is inside."""


def scan(
    folder: Path,
    patterns: Sequence[str],
    *,
    recursive: bool,
    without: Path | None,
    unreadable: Callable[[OSError], None],
) -> Iterator[tuple[Path, Signature]]:
    """The files whose names fit a pattern, whatever their case; hidden ones never do.

    Parameters
    ----------
    without
        A folder below that is not looked into, such as the one for the transcripts.
    unreadable
        Told of what cannot be looked at; the rest is all the same.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        unreadable(error)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith("."):
            continue
        try:
            # A link to a folder could lead back here; one to a file is followed.
            if entry.is_dir(follow_symlinks=False):
                if recursive and path != without:
                    yield from scan(path, patterns, recursive=True, without=without, unreadable=unreadable)
            elif any(fnmatch(entry.name.lower(), pattern.lower()) for pattern in patterns) and entry.is_file():
                yield path, Signature.of(path.stat())
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable(error)


class Settling:
    """Tells which files have not changed for a while.

    Parameters
    ----------
    seconds
        For which a file must have had the same size and time of change, and something in it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Path, tuple[Signature, float]] = {}

    def ready(self, found: Mapping[Path, Signature], now: float) -> list[Path]:
        """The files that are whole, as of a look at a monotonic time; what is not found any more is forgotten."""
        since = {}
        for path, signature in found.items():
            before = self._since.get(path)
            since[path] = before if before is not None and before[0] == signature else (signature, now)
        self._since = since
        return [path for path, (seen, at) in since.items() if seen.size > 0 and now - at >= self._seconds]

    def anew(self, path: Path) -> None:
        """A file was found to be changing after all."""
        self._since.pop(path, None)

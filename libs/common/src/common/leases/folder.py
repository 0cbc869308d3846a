"""Leases in a folder: one small file each, changed only under its kernel lock, alive by its modification time."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from common.blobs.oserrors import unavailable_on_oserror
from common.blobs.threads import in_thread
from common.leases import Lease

_LOCK_SECONDS = 2.0
_LOCK_PAUSE = 0.005
_ENTRY_BYTES = 256


@dataclass(frozen=True)
class _Entry:
    token: str = ""
    takeovers: int = 0
    alone: int = 0
    buried: str | None = None


class FolderLeases:
    """Leases for processes that share a folder, on one machine or over a file system with working `flock`.

    Every change is a few system calls under the file's lock, which the kernel frees when its process dies. A process
    that is stopped in just that moment keeps the lock: the others then get `BlobsUnavailable` for this one lease,
    never a second holder. The time is the file system's: the age of a heartbeat is the difference of two of its
    modification times, so machines with different clocks agree.

    Parameters
    ----------
    folder
        Where the lease files lie; made when missing, but not its parents.
    ttl
        Seconds after which a lease without a heartbeat has lapsed.
    """

    def __init__(self, folder: Path, *, ttl: float) -> None:
        self._folder = folder
        self._ttl = ttl

    async def acquire(self, name: str) -> Lease | None:
        """Take a lease that is free or has lapsed; None while somebody else's is alive."""
        with unavailable_on_oserror():
            return await in_thread(self._acquire, name)

    async def renew(self, lease: Lease, *, alone: bool = False) -> bool:
        """Heartbeat; False when the lease was lost. ``alone`` counts until the lease is released."""
        with unavailable_on_oserror():
            return await in_thread(self._renew, lease, alone)

    async def release(self, lease: Lease) -> None:
        """Give the lease up and forget its take-overs; harmless when it was lost."""
        with unavailable_on_oserror():
            await in_thread(self._release, lease)

    async def bury(self, lease: Lease, life: str) -> None:
        """Give the lease up and remember that the work was put aside; harmless when it was lost."""
        with unavailable_on_oserror():
            await in_thread(self._bury, lease, life)

    def sweep(self, older_than: float = 86_400.0) -> int:
        """Forget leases whose holders died and whose events never came back, and what was put aside; blocks.

        Parameters
        ----------
        older_than
            Seconds since the last heartbeat, or since it was put aside.

        Returns
        -------
        int
            How many were removed.
        """
        swept = 0
        for path in self._folder.glob("*.lease"):
            with _locked(path, create=False) as file:
                if file is not None and self._age(file) > max(older_than, self._ttl):
                    path.unlink()
                    swept += 1
        return swept

    def _acquire(self, name: str) -> Lease | None:
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        with _locked(self._path(name), create=True) as file:
            assert file is not None  # noqa: S101 - it was just made
            entry = _load(file)
            if entry.token and (age := self._age(file)) <= self._ttl:
                if age < -1.0:
                    os.utime(file)  # the clock was set back: a dead holder must still lapse one ttl from now
                return None
            taken = replace(entry, token=uuid4().hex, takeovers=entry.takeovers + bool(entry.token))
            _store(file, taken)
            return Lease(name, taken.token, taken.takeovers, taken.alone, taken.buried)

    def _renew(self, lease: Lease, alone: bool) -> bool:
        with _locked(self._path(lease.name), create=False) as file:
            if file is None or (entry := _load(file)).token != lease.token:
                return False
            if alone and entry.alone == lease.alone:
                _store(file, replace(entry, alone=lease.alone + 1))
            os.utime(file)
            return True

    def _release(self, lease: Lease) -> None:
        path = self._path(lease.name)
        with _locked(path, create=False) as file:
            if file is not None and _load(file).token == lease.token:
                path.unlink()

    def _bury(self, lease: Lease, life: str) -> None:
        with _locked(self._path(lease.name), create=False) as file:
            if file is not None and _load(file).token == lease.token:
                _store(file, _Entry(buried=life))

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.lease"

    def _age(self, file: int) -> float:
        """Seconds between a file's last heartbeat and the file system's present."""
        clock = self._folder / "clock"
        clock.touch(mode=0o600)
        return (clock.stat().st_mtime_ns - os.fstat(file).st_mtime_ns) / 1e9


@contextmanager
def _locked(path: Path, *, create: bool) -> Iterator[int | None]:
    """Open and lock a lease's file; None when there is none and none is to be made."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            file = os.open(path, flags, 0o600)
        except FileNotFoundError:
            if create:
                raise
            yield None
            return
        try:
            if _lock(file, deadline) and _is_at(file, path):
                yield file
                return
        finally:
            os.close(file)


def _lock(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_PAUSE)
        else:
            return True


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one its path names: a release may have removed it before we had the lock."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _load(file: int) -> _Entry:
    """What a lease file says; one that was made but never written to is free."""
    text = os.pread(file, _ENTRY_BYTES, 0)
    return _Entry(**json.loads(text)) if text else _Entry()


def _store(file: int, entry: _Entry) -> None:
    # One write of one length: a crash leaves the old text or the new one, never a mixture.
    # What is not said is left out, so that a service that does not know it yet can read the rest.
    said = {name: value for name, value in vars(entry).items() if value is not None}
    os.pwrite(file, json.dumps(said).encode().ljust(_ENTRY_BYTES), 0)

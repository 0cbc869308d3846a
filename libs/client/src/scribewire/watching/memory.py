"""What was submitted from a watched folder, in a small database, so that a restart submits nothing twice."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scribewire.errors import ScribewireError
from scribewire.folders import private, state_folder
from scribewire.signature import Signature

_TABLE = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    key TEXT NOT NULL,  -- made of the content and the options; empty when refused
    state TEXT NOT NULL,  -- submitted, completed, failed, refused
    job TEXT,
    looked REAL NOT NULL
) STRICT"""
_LOST_TABLE = """
CREATE TABLE IF NOT EXISTS lost (key TEXT NOT NULL, job TEXT NOT NULL, PRIMARY KEY (key, job)) STRICT"""
_BY_SIGNATURE = "CREATE INDEX IF NOT EXISTS by_signature ON files (inode, mtime_ns)"
_BY_KEY = "CREATE INDEX IF NOT EXISTS by_key ON files (key)"
_BY_STATE = "CREATE INDEX IF NOT EXISTS by_state ON files (state, looked)"

_KNOWS = "SELECT 1 FROM files WHERE inode = ? AND mtime_ns = ? AND device = ? AND size = ?"
_SAME = """
SELECT job FROM files
 WHERE key = ? AND job IS NOT NULL AND state IN ('submitted', 'completed')
   AND NOT EXISTS (SELECT 1 FROM lost WHERE lost.key = files.key AND lost.job = files.job)
 LIMIT 1"""
_LOST = "INSERT OR IGNORE INTO lost VALUES (?, ?)"
_LOST_OF = "INSERT OR IGNORE INTO lost SELECT key, job FROM files WHERE path = ? AND job IS NOT NULL"
_ATTEMPTS = "SELECT count(*) FROM lost WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OPEN = "SELECT path, job FROM files WHERE state = 'submitted' ORDER BY looked LIMIT ?"
_ANY_OPEN = "SELECT count(*) FROM files WHERE state = 'submitted'"
_LOOKED = "UPDATE files SET looked = ? WHERE path = ?"
_ENDED = "UPDATE files SET state = ? WHERE path = ?"


class AlreadyWatched(ScribewireError):  # noqa: N818 - named for the state
    """Another process watches the folder."""

    exit_code = 2


@dataclass(frozen=True)
class Open:
    """A job of which the end was not seen yet, and the file it came from."""

    path: Path
    job: str


class Memory:
    """The files of one folder that were submitted to one gateway; for any thread."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._alone = threading.Lock()
        # Of a folder with many files all are asked for at each look.
        self._known: set[Signature] = set()
        for statement in (_TABLE, _LOST_TABLE, _BY_KEY, _BY_SIGNATURE, _BY_STATE):
            self._do(statement)

    def knows(self, signature: Signature) -> bool:
        """Whether a file, under whatever name, was submitted or refused as it is now."""
        if signature not in self._known:
            row = (signature.inode, signature.mtime_ns, signature.device, signature.size)
            if not self._do(_KNOWS, row):
                return False
            self._known.add(signature)
        return True

    def same(self, key: str) -> str | None:
        """The job of a file with the same content and options, unless it came to nothing."""
        rows = self._do(_SAME, (key,))
        return str(rows[0][0]) if rows else None

    def lost(self, key: str, job: str) -> None:
        """A job of this content and these options came to nothing: it failed, or is gone."""
        self._do(_LOST, (key, job))

    def attempts(self, key: str) -> int:
        """How many jobs of this content and these options came to nothing."""
        return int(self._do(_ATTEMPTS, (key,))[0][0])

    def keep(self, path: Path, signature: Signature, key: str, state: str, job: str | None) -> None:
        """Remember what became of a file."""
        s = signature
        row = (str(path), s.device, s.inode, s.size, s.mtime_ns, key, state, job, 0.0)
        self._do(_KEEP, row)

    def open(self, most: int) -> list[Open]:
        """Some jobs whose end was not seen yet, those not looked at for longest first."""
        found = [Open(Path(path), job) for path, job in self._do(_OPEN, (most,))]
        for entry in found:
            self._do(_LOOKED, (time.time(), str(entry.path)))
        return found

    def any_open(self) -> int:
        """How many jobs there are whose end was not seen yet."""
        return int(self._do(_ANY_OPEN)[0][0])

    def ended(self, path: Path, state: str) -> None:
        """The job of a file ended, and what there was to write is written."""
        if state == "failed":
            self._do(_LOST_OF, (str(path),))
        self._do(_ENDED, (state, str(path)))

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._alone:
            return self._database.execute(statement, values).fetchall()


@contextmanager
def remembering(gateway: str, folder: Path, where: Path | None = None) -> Iterator[Memory]:
    """The memory of a folder.

    Raises
    ------
    AlreadyWatched
        When another process has it.
    """
    where = private(where or state_folder() / "watch")
    name = sha256(f"{gateway}\0{folder.resolve()}".encode(errors="replace")).hexdigest()[:32]
    lock = FileLock(where / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyWatched(f"{folder} is watched already by another process") from None
    try:
        database = sqlite3.connect(where / f"{name}.db", isolation_level=None, check_same_thread=False)
        try:
            yield Memory(database)
        finally:
            database.close()
    finally:
        lock.release()

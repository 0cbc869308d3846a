"""Passwords as Argon2id, off the event loop and only so many at once: each takes 19 MiB while it is worked on."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.identity import imported
from gateway.problems import unavailable

Result = TypeVar("Result")

_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$x4itfflEy7j3vyr1SJZZPA$7oRiArRTVudzxLBtOf2txYcpx8jPM25zXvVgayy++WQ"
"""Stands where there is no hash: checking against it takes as long and never succeeds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right, and the hash to keep instead of one that is of an older kind."""

    right: bool
    better: str | None = None


class Passwords:
    """Hashes and checks.

    Parameters
    ----------
    at_once
        How many are worked on at the same time.
    most_waiting
        How many may wait for their turn; the next one gets a 503 problem.
    salt
        ``PASSWORD_SALT`` of the system whose SHA-256 hashes were imported.
    """

    def __init__(self, *, at_once: int = 4, most_waiting: int = 100, salt: str | None = None) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")
        self._most = at_once + most_waiting
        self._under_way = 0
        self._salt = salt

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The password as it is kept."""
        return await self._apart(lambda: self._hasher.hash(_same(password)))

    async def check(self, password: str, known: str | None, *, bcrypt_left: bool = False) -> Verdict:
        """Whether this is the password of a hash.

        A wrong password, an account without one and no account at all take the same time: one Argon2id check, and one
        of bcrypt as long as any account still has such a hash.

        Parameters
        ----------
        password
            What somebody typed.
        known
            Argon2id, ``sha256$…``, bcrypt, or None when there is no such account or it has no password.
        bcrypt_left
            Whether any account has a bcrypt hash.
        """
        return await self._apart(lambda: self._check(password, known, bcrypt_left))

    def _check(self, password: str, known: str | None, bcrypt_left: bool) -> Verdict:
        old = known is not None and imported.is_imported(known)
        of_old = imported.right(password, known if old else None, salt=self._salt, bcrypt_left=bcrypt_left)
        of_new = self._argon2(_same(password), _NOBODY if known is None or old else known)
        if old and of_old:
            return Verdict(right=True, better=self._hasher.hash(_same(password)))
        if old or known is None or not of_new:
            return Verdict(right=False)
        outdated = self._hasher.check_needs_rehash(known)
        return Verdict(right=True, better=self._hasher.hash(_same(password)) if outdated else None)

    def _argon2(self, password: str, known: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: Callable[[], Result]) -> Result:
        if self._under_way >= self._most:
            raise unavailable("Too many passwords are being checked just now.")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def _same(password: str) -> str:
    """One form for what keyboards write in two, such as é."""
    return unicodedata.normalize("NFC", password)

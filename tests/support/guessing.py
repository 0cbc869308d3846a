"""Logging in as a gateway judges it, by thousands, without HTTP around it; and how often a password was looked at."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from aiohttp import web
from multidict import CIMultiDict
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.callers import Callers
from gateway.database import Database
from gateway.identity.account import AccountRow
from gateway.identity.account_store import AccountStore, NewAccount
from gateway.identity.arrival import Arrival
from gateway.identity.audit import AuditLog
from gateway.identity.login import LoginApi
from gateway.identity.models import LoginBody
from gateway.identity.passwords import Passwords, Verdict
from gateway.identity.session_store import SessionStore
from gateway.identity.throttle import Throttle
from gateway.problems import Problem
from gateway.routing import BODY
from support.stepped_clock import SEARCH_PATH

RIGHT = "Correct-horse-7"
IN = "in"
"""What somebody meets who is let in; everybody else meets the kind of a problem."""


class Attempt(dict[object, object]):
    """A request to log in, as far as anybody looks at it here."""

    def __init__(self, who: str, address: str, password: str = "Wrong-horse-7") -> None:
        super().__init__({BODY: LoginBody(login=who, password=password)})
        self.remote = address
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.wait = 0
        """Seconds of ``Retry-After``, where it was told to wait."""


class CountedPasswords(Passwords):
    """Knows the right password without any work, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(at_once=1)
        self.checked = 0

    async def check(self, password: str, known: str | None, *, bcrypt_left: bool = False) -> Verdict:
        """Count one Argon2id that would have been run."""
        self.checked += 1
        return Verdict(right=known is not None and password == RIGHT)


class _Tokens:
    async def issue(self, account: AccountRow, session: UUID) -> tuple[str, int]:
        return f"token of {account.id} {session}", 900


class Gateways:
    """Some gateways of one database, which has a `SteppedClock`."""

    def __init__(self, logins: Sequence[LoginApi], accounts: AccountStore, passwords: CountedPasswords) -> None:
        self._logins = logins
        self._accounts = accounts
        self._passwords = passwords

    async def somebody(self, name: str) -> None:
        """Make an account with the right password."""
        await self._accounts.add(
            NewAccount(email=f"{name}@example.org", username=name, password_hash="$argon2id$", consents={})
        )

    async def meets(self, attempt: Attempt, gateway: int = 0) -> str:
        """What comes of one attempt."""
        try:
            answer = await self._logins[gateway].login(attempt)  # type: ignore[arg-type]
        except Problem as problem:
            attempt.wait = int((problem.headers or {}).get("Retry-After", 0))
            return problem.kind.slug
        assert isinstance(answer, web.Response)
        assert answer.status == 200
        return IN

    async def flood(self, attempts: Iterable[Attempt], *, at_once: int = 4) -> tuple[int, Counter[str]]:
        """Send attempts to all gateways at once; how many were looked at, and what came of all."""
        before, met, waiting = self._passwords.checked, Counter[str](), iter(attempts)

        async def send(gateway: int) -> None:
            for attempt in waiting:
                met[await self.meets(attempt, gateway)] += 1

        await asyncio.gather(*(send(gateway) for gateway in range(len(self._logins)) for _ in range(at_once)))
        return self._passwords.checked - before, met


@asynccontextmanager
async def gateways(dsn: str, crypt: Crypt, *, number: int = 3) -> AsyncIterator[Gateways]:
    """That many gateways inside the block; opened again on the same database they are those after a restart."""
    settings = CommonSettings(database_url=SecretStr(dsn), _env_file=None)
    callers, passwords, logins = Callers(), CountedPasswords(), []
    async with AsyncExitStack() as opened:
        opened.callback(passwords.close)
        for _ in range(number):
            pool = await opened.enter_async_context(open_pool(settings, size=4, search_path=SEARCH_PATH))
            database = Database(pool, seconds=60)
            accounts, sessions = AccountStore(database, crypt), SessionStore(database, crypt)
            logins.append(
                LoginApi(
                    accounts=accounts,
                    sessions=sessions,
                    passwords=passwords,
                    throttle=Throttle(database),
                    arrival=Arrival(accounts=accounts, sessions=sessions, tokens=_Tokens(), callers=callers),
                    audit=AuditLog(database, callers),
                    callers=callers,
                )
            )
        yield Gateways(logins, accounts, passwords)

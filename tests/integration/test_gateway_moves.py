"""Other e-mail addresses, asked for and confirmed by two at the same moment: one gets it, the other is told as ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from aiohttp.test_utils import make_mocked_request
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.callers import Callers
from gateway.database import Database
from gateway.identity.account import AccountRow, Person
from gateway.identity.account_store import AccountStore, Changed, NewAccount, Taken
from gateway.identity.arrival import Arrival
from gateway.identity.audit import AuditLog
from gateway.identity.confirmation import Confirmations
from gateway.identity.mailbox import Mailbox
from gateway.identity.models import ProfileChange
from gateway.identity.passwords import Passwords
from gateway.identity.profile import ProfileApi
from gateway.identity.register import RegisterApi
from gateway.identity.session_store import SessionStore
from gateway.identity.throttle import Throttle
from gateway.principal import PRINCIPAL, Principal
from gateway.problems import Problem
from gateway.routing import BODY
from support.gateway import encryption_keys
from support.platform import fresh_database

NEW = "new@example.org"


class AtOnce(AccountStore):
    """Lets nobody go on from looking at an account before so many have looked."""

    looking: asyncio.Barrier | None = None

    async def person(self, account: UUID) -> Person | None:
        """The account, once the others have it too."""
        found = await super().person(account)
        if self.looking is not None:
            await self.looking.wait()
            self.looking = None
        return found


@dataclass
class World:
    """What confirms addresses, over real rows."""

    pool: asyncpg.Pool
    accounts: AtOnce
    register: RegisterApi
    profile: ProfileApi
    confirmations: Confirmations

    async def account(self, name: str, password_hash: str | None = "$argon2id$") -> AccountRow:
        """Somebody new."""
        new = NewAccount(email=f"{name}@example.org", username=name, password_hash=password_hash, consents={})
        return await self.accounts.add(new)

    async def link(self, account: AccountRow, email: str) -> str:
        """The token of the mail that this account's person was sent."""
        person = await self.accounts.person(account.id)
        assert person is not None
        return self.confirmations.token("address", account=account.owner, standing=person.standing, new=email)

    async def answer(self, token: str) -> dict[str, Any] | None:
        """Answer a mail; the document of the problem that comes of it, if any."""
        try:
            await self.register.answered(make_mocked_request("POST", "/v1/auth/confirm"), token)
        except Problem as problem:
            return problem.document
        return None

    async def answer_at_once(self, *tokens: str) -> list[dict[str, Any] | None]:
        """The same of several, all of whom have looked at their account before one changes it."""
        self.accounts.looking = asyncio.Barrier(len(tokens))
        return await asyncio.gather(*map(self.answer, tokens))

    async def change(self, account: AccountRow, email: str) -> dict[str, Any] | None:
        """PATCH the address where no mail is sent; the document of the problem that comes of it, if any."""
        request = make_mocked_request("PATCH", "/v1/account")
        request[BODY] = ProfileChange(email=email)
        request[PRINCIPAL] = Principal(account.owner, "session", frozenset({"account"}))
        try:
            await self.profile.change(request)
        except Problem as problem:
            return problem.document
        return None

    async def lines(self, account: AccountRow) -> int:
        """How often the audit log says that the address was changed."""
        said = "SELECT count(*) FROM audit_log WHERE actor = $1 AND action = 'account.address_changed'"
        return int(await self.pool.fetchval(said, account.owner))


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    made = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(made))
    return made


@pytest.fixture
async def world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(dsn, tmp_path) as world:
        yield world
        await world.pool.execute("DELETE FROM accounts")


@asynccontextmanager
async def opened(dsn: str, folder: Path) -> AsyncIterator[World]:
    crypt, callers = Crypt.of_file(encryption_keys(folder)), Callers()
    passwords = Passwords(at_once=1)
    async with open_pool(CommonSettings(database_url=SecretStr(dsn), _env_file=None)) as pool:
        database = Database(pool, seconds=10)
        accounts, confirmations = AtOnce(database, crypt), Confirmations(crypt)
        parts: dict[str, Any] = {
            "accounts": accounts,
            "passwords": passwords,
            "throttle": Throttle(database),
            "mailbox": Mailbox(database, crypt, on=True),
            "confirmations": confirmations,
            "audit": AuditLog(database, callers),
            "callers": callers,
            "base": "https://scribewire.example.org",
        }
        # Nobody who has an account arrives by these mails.
        register = RegisterApi(**parts, arrival=cast("Arrival", None), confirm=True)
        sessions = SessionStore(database, crypt)
        yield World(pool, accounts, register, ProfileApi(**parts, sessions=sessions, confirm=False), confirmations)
    passwords.close()


async def test_of_two_who_confirm_one_address_at_once_one_has_it(world: World) -> None:
    ann, ben, eve = [await world.account(name) for name in ("ann", "ben", "eve")]
    met = await world.answer_at_once(await world.link(ann, NEW), await world.link(ben, NEW.upper()))
    [told] = [document for document in met if document is not None]
    assert (told["status"], told["errors"]) == (409, [{"field": "email", "message": "is taken"}])
    assert told == await world.answer(await world.link(eve, NEW)), "in the words of who comes later"
    emails = {row["email"] for row in await world.pool.fetch("SELECT email FROM accounts")}
    assert {email.lower() for email in emails} in (
        {NEW, "ben@example.org", "eve@example.org"},
        {NEW, "ann@example.org", "eve@example.org"},
    )
    assert await world.lines(ann) + await world.lines(ben) == 1
    assert await world.pool.fetchval("SELECT count(*) FROM mails WHERE kind = 'address_changed'") == 1


async def test_of_two_links_of_one_account_answered_at_once_one_counts(world: World) -> None:
    ann = await world.account("ann")
    links = [await world.link(ann, NEW), await world.link(ann, "other@example.org"), await world.link(ann, NEW)]
    met = await world.answer_at_once(*links)
    assert len([document for document in met if document is None]) == 1
    told = [document for document in met if document is not None]
    assert told == [await world.answer(links[0])] * 2, "in the words of a link that was used"
    assert (told[0]["status"], told[0]["errors"][0]["field"]) == (422, "token")
    assert await world.lines(ann) == 1


async def test_of_two_changes_at_once_where_no_mail_is_sent_one_counts(world: World) -> None:
    ann = await world.account("ann", None)
    world.accounts.looking = asyncio.Barrier(2)
    met = await asyncio.gather(world.change(ann, NEW), world.change(ann, "other@example.org"))
    [told] = [document for document in met if document is not None]
    assert (told["status"], told["errors"][0]["field"]) == (422, "email")
    person = await world.accounts.person(ann.id)
    assert person is not None
    assert person.account.email == (NEW, "other@example.org")[met.index(None)]
    assert await world.lines(ann) == 1
    assert await world.change(ann, "third@example.org") is None


async def test_a_link_is_void_when_the_password_is_changed_while_it_is_answered(world: World) -> None:
    ann = await world.account("ann")
    person = await world.accounts.person(ann.id)
    assert person is not None
    await world.pool.execute("INSERT INTO resets VALUES (gen_random_uuid(), $1, '\\x01', now(), now())", ann.id)
    await world.accounts.set_password(ann.id, "$argon2id$other")
    with pytest.raises(Changed):
        await world.accounts.move(person, NEW, confirmed=True)
    found = await world.accounts.person(ann.id)
    assert found is not None
    assert (found.account.email, found.confirmed_at) == ("ann@example.org", None)
    await world.accounts.move(found, NEW, confirmed=True)
    with pytest.raises(Taken):
        await world.accounts.add(NewAccount(email=NEW, password_hash=None, consents={}))


async def test_a_link_does_nothing_for_who_was_switched_off_meanwhile(world: World) -> None:
    ann = await world.account("ann")
    person = await world.accounts.person(ann.id)
    assert person is not None
    await world.pool.execute("INSERT INTO resets VALUES (gen_random_uuid(), $1, '\\x02', now(), now())", ann.id)
    await world.accounts.change(ann.id, is_active=False)
    with pytest.raises(Changed):
        await world.accounts.move(person, NEW, confirmed=True)
    assert await world.pool.fetchval("SELECT count(*) FROM resets") == 1, "nothing of it was done"

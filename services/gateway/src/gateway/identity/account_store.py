"""Rows of accounts, and what their people agreed to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog

from common.crypt import Crypt, Undecipherable
from gateway.callers import neighbourhood
from gateway.database import Database
from gateway.identity import rules
from gateway.identity.account import AccountRow, Person
from gateway.identity.confirmation import Confirmation
from gateway.identity.reset_store import DROP_UNUSED
from gateway.identity.used import use

log = structlog.get_logger(__name__)

CONSENTS = ("gdpr_consent", "data_retention_agreed", "marketing_consent")

_ROW = "a.id, a.email, a.username, a.role, a.plan, a.is_active"

ACTIVE = f"SELECT {_ROW} FROM accounts AS a WHERE a.id = $1 AND a.is_active"  # noqa: S608 - a constant

# The same address, or one of the same network of version 6, where people have another address every day.
_HERE = """(ip = $2 OR CASE WHEN $3::text IS NOT NULL AND strpos(ip, ':') > 0
                       THEN split_part(ip, '%', 1)::inet <<= $3::text::inet ELSE false END)"""

# One statement for the known and the unknown, so that it takes as long for both.
BY_LOGIN = f"""
SELECT a.*, EXISTS (SELECT FROM accounts WHERE password_hash LIKE '$2%') AS bcrypt_left,
       EXISTS (SELECT FROM sessions WHERE account_id = a.id AND {_HERE}
                  AND created_at > now() - interval '30 days')
       OR EXISTS (SELECT FROM resets WHERE account_id = a.id AND {_HERE} AND used_at IS NOT NULL) AS at_home
  FROM (SELECT) AS always
  LEFT JOIN LATERAL (
       SELECT {_ROW}, a.password_hash FROM accounts AS a
        WHERE a.email_key = $1 OR a.username_key = $1
        ORDER BY a.email_key = $1 DESC NULLS LAST LIMIT 1) AS a ON true"""  # noqa: S608

BY_EMAIL = f"SELECT {_ROW} FROM accounts AS a WHERE a.email_key = $1"  # noqa: S608

_PERSON = f"""
SELECT {_ROW}, a.first_name, a.last_name, a.company, a.confirmed_at, a.password_changed_at, a.created_at,
       a.updated_at, a.last_login,
       a.password_hash IS NOT NULL AS has_password,
       (SELECT jsonb_object_agg(kind, given)
          FROM (SELECT DISTINCT ON (kind) kind, given FROM consents WHERE account_id = a.id
                 ORDER BY kind, at DESC, id) AS newest) AS consents
  FROM accounts AS a"""  # noqa: S608

PERSON = _PERSON + " WHERE a.id = $1"

PEOPLE = (
    _PERSON
    + """
 WHERE ($1::text IS NULL OR a.email_key = $1 OR a.username_key = $1)
   AND ($2::text IS NULL OR a.role = $2)
   AND ($3::boolean IS NULL OR a.is_active = $3)
   AND ($4::timestamptz IS NULL OR (a.created_at, a.id) < ($4, $5))
 ORDER BY a.created_at DESC, a.id DESC
 LIMIT $6"""
)

ADD = """
INSERT INTO accounts (id, email, email_key, username, username_key, password_hash, first_name, last_name, company,
                      role, plan, confirmed_at, created_at, updated_at, password_changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $12::boolean THEN now() END, now(), now(), now())"""

ADD_CONSENT = "INSERT INTO consents (id, account_id, kind, given, at, ip) VALUES ($1, $2, $3, $4, now(), $5)"

IS_TAKEN = """
SELECT EXISTS (SELECT FROM accounts WHERE email_key = $1) AS email,
       EXISTS (SELECT FROM accounts WHERE username_key = $2) AS username"""

# Of two that were let in for the same state of the account, the later one finds another state.
MOVE = """
UPDATE accounts
   SET email = $2, email_key = $3, confirmed_at = CASE WHEN $4::boolean THEN now() END, updated_at = now()
 WHERE id = $1 AND is_active AND email IS NOT DISTINCT FROM $5::text
   AND confirmed_at IS NOT DISTINCT FROM $6::timestamptz AND password_changed_at IS NOT DISTINCT FROM $7::timestamptz
RETURNING id"""

PASSWORD_OF = "SELECT password_hash FROM accounts WHERE id = $1"  # noqa: S105 - a statement, no password

SET_PASSWORD = """
UPDATE accounts SET password_hash = $2, password_changed_at = now(), updated_at = now() WHERE id = $1"""  # noqa: S105

BETTER_HASH = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2"

LOGGED_IN = "UPDATE accounts SET last_login = now() WHERE id = $1"

_CHANGEABLE = frozenset({"username", "username_key", "first_name", "last_name", "company", "role", "plan", "is_active"})
_ENCRYPTED = frozenset({"first_name", "last_name", "company"})


_NOTHING: Mapping[str, Any] = {}

_PLAIN = ("confirmed_at", "password_changed_at", "created_at", "updated_at", "last_login", "has_password")


class Taken(Exception):  # noqa: N818 - named for the state
    """Another account has this; ``field`` is ``email`` or ``username``."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Used(Exception):  # noqa: N818 - named for the state
    """The link of this mail was used before."""


class Changed(Exception):  # noqa: N818 - named for the state
    """The account is not any more what it was when it was looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a login is judged by; ``account`` and ``password_hash`` are None where there is no such account."""

    account: AccountRow | None
    password_hash: str | None
    bcrypt_left: bool
    at_home: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """An account to be; names are plain text."""

    email: str | None
    username: str | None = None
    password_hash: str | None
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    role: str = "user"
    plan: str = "free"
    confirmed: bool = False
    consents: Mapping[str, bool]


class AccountStore:
    """Accounts in PostgreSQL."""

    def __init__(self, database: Database, crypt: Crypt) -> None:
        self._database = database
        self._crypt = crypt

    async def active(self, account: UUID) -> AccountRow | None:
        """The account, unless there is none or it is switched off."""
        async with self._database.connection() as connection:
            return _row(await connection.fetchrow(ACTIVE, account))

    async def by_login(self, login: str, address: str) -> Found:
        """The account with this e-mail address or user name, active or not."""
        place = neighbourhood(address)
        network = place if place != address else None
        async with self._database.connection() as connection:
            found = await connection.fetchrow(BY_LOGIN, rules.key(login), address, network)
        return Found(_row(found), found["password_hash"], found["bcrypt_left"], found["at_home"])

    async def by_email(self, email: str) -> AccountRow | None:
        """The account with this address, active or not."""
        async with self._database.connection() as connection:
            return _row(await connection.fetchrow(BY_EMAIL, rules.key(email)))

    async def person(self, account: UUID) -> Person | None:
        """The account with what its person said of themselves."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(PERSON, account)
        return None if row is None else self._person(row)

    async def people(
        self,
        *,
        login: str | None,
        role: str | None,
        is_active: bool | None,
        before: tuple[Any, UUID] | None,
        limit: int,
    ) -> Sequence[Person]:
        """Accounts, newest first."""
        at, account = before or (None, None)
        key = rules.key(login) if login is not None else None
        async with self._database.connection() as connection:
            rows = await connection.fetch(PEOPLE, key, role, is_active, at, account, limit)
        return [self._person(row) for row in rows]

    async def taken(self, email: str | None, username: str | None) -> str | None:
        """Which of the two somebody has: ``username`` before ``email``; None when both are free."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(IS_TAKEN, _key(email), _key(username))
        return "username" if row["username"] else "email" if row["email"] else None

    async def add(
        self, new: NewAccount, *, address: str | None = None, answered: Confirmation | None = None
    ) -> AccountRow:
        """Make an account.

        Parameters
        ----------
        answered
            The mail whose link asks for it; each makes one account, also when that was deleted since.

        Raises
        ------
        Taken
            When somebody has the address or the user name.
        Used
            When the link made an account before.
        """
        async with self._database.connection() as connection, connection.transaction():
            if answered is not None and not await use(connection, answered):
                raise Used
            return await self.add_within(connection, new, address=address)

    async def add_within(self, connection: Any, new: NewAccount, *, address: str | None = None) -> AccountRow:
        """Make an account in a transaction that somebody else has begun and commits; `Taken` is its end."""
        account = uuid4()
        try:
            await connection.execute(
                ADD,
                *(account, new.email, _key(new.email), new.username, _key(new.username), new.password_hash),
                *(self._sealed(new.first_name), self._sealed(new.last_name), self._sealed(new.company)),
                *(new.role, new.plan, new.confirmed),
            )
        except asyncpg.UniqueViolationError as error:
            raise _taken(error) from None
        for kind, given in new.consents.items():
            await connection.execute(ADD_CONSENT, uuid4(), account, kind, given, address)
        row = _row(await connection.fetchrow(ACTIVE, account))
        assert row is not None  # noqa: S101 - it was made in this transaction
        return row

    async def change(self, account: UUID, **columns: Any) -> bool:
        """Set columns, of which names are plain text; False when there is no such account; raises `Taken`."""
        try:
            async with self._database.connection() as connection:
                return await self._change(connection, account, columns)
        except asyncpg.UniqueViolationError as error:
            raise _taken(error) from None

    async def _change(self, connection: Any, account: UUID, columns: Mapping[str, Any]) -> bool:
        if unknown := columns.keys() - _CHANGEABLE:
            msg = f"not columns to change: {unknown}"
            raise ValueError(msg)
        values = {name: self._sealed(v) if name in _ENCRYPTED else v for name, v in columns.items()}
        if "username" in values:
            values["username_key"] = _key(values["username"])
        named = "".join(f"{name} = ${place}, " for place, name in enumerate(values, start=2))
        # The names are those of _CHANGEABLE.
        statement = f"UPDATE accounts SET {named}updated_at = now() WHERE id = $1 RETURNING id"  # noqa: S608
        return await connection.fetchval(statement, account, *values.values()) is not None

    async def move(self, person: Person, email: str, *, confirmed: bool) -> None:
        """Give an account another address, if it is still as it was seen; as `apply`."""
        await self.apply(person, email=email, confirmed=confirmed)

    async def apply(
        self,
        person: Person,
        *,
        texts: Mapping[str, Any] = _NOTHING,
        consents: Mapping[str, bool] = _NOTHING,
        email: str | None = None,
        confirmed: bool = False,
        address: str | None = None,
    ) -> None:
        """Change what a person asks for: all of it in one transaction, or nothing.

        Parameters
        ----------
        person
            The account as it was when the change was found to be allowed.
        texts
            User name and names, in plain text.
        consents
            Words on consents, added to the record with the time.
        email
            Another address, where it is to change.
        confirmed
            Whether that address was shown to be theirs.
        address
            IP address the consents come from.

        Raises
        ------
        Taken
            When somebody else has the address or the user name, or was given it at the same moment.
        Changed
            When the account was deleted since; when it is about the address, also when the account was switched off,
            or has another address or password.
        """
        account = person.account
        seen = (account.email, person.confirmed_at, person.password_changed_at)
        try:
            async with self._database.connection() as connection, connection.transaction():
                if email is not None:
                    # They lie in the mailbox of the address before. First, as who sets a password takes the locks.
                    await connection.execute(DROP_UNUSED, account.id)
                    moved = await connection.fetchval(MOVE, account.id, email, _key(email), confirmed, *seen)
                    if moved is None:
                        raise Changed
                if texts and not await self._change(connection, account.id, texts):
                    raise Changed
                for kind, given in consents.items():
                    await connection.execute(ADD_CONSENT, uuid4(), account.id, kind, given, address)
        except asyncpg.UniqueViolationError as error:
            raise _taken(error) from None
        except asyncpg.ForeignKeyViolationError:  # There is no account that the consents could be of.
            raise Changed from None

    async def password_of(self, account: UUID) -> str | None:
        """The hash, or None."""
        async with self._database.connection() as connection:
            found: str | None = await connection.fetchval(PASSWORD_OF, account)
            return found

    async def set_password(self, account: UUID, password_hash: str) -> None:
        """Replace the password; what was mailed for setting another is good no more."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(DROP_UNUSED, account)
            await connection.execute(SET_PASSWORD, account, password_hash)

    async def better_hash(self, account: UUID, old: str, new: str) -> None:
        """Keep the same password in a better form, unless it was changed meanwhile."""
        async with self._database.connection() as connection:
            await connection.execute(BETTER_HASH, account, old, new)

    async def logged_in(self, account: UUID) -> None:
        """Note the time of a login."""
        async with self._database.connection() as connection:
            await connection.execute(LOGGED_IN, account)

    def _sealed(self, text: str | None) -> str | None:
        return None if text is None else self._crypt.encrypt(text)

    def _plain(self, token: str | None) -> str | None:
        try:
            return None if token is None else self._crypt.decrypt(token)
        except Undecipherable:
            # Somebody took a key away too early. A name that cannot be read keeps nobody from logging in.
            log.error("name_undecipherable")  # noqa: TRY400 - where it was is always here
            return None

    def _person(self, row: Any) -> Person:
        account = _row(row)
        assert account is not None  # noqa: S101 - the row has an id
        return Person(
            account=account,
            first_name=self._plain(row["first_name"]),
            last_name=self._plain(row["last_name"]),
            company=self._plain(row["company"]),
            **{name: row[name] for name in _PLAIN},
            consents=dict.fromkeys(CONSENTS, False) | (row["consents"] or {}),
        )


def _key(text: str | None) -> str | None:
    return None if text is None else rules.key(text)


def _row(row: Any | None) -> AccountRow | None:
    if row is None or row["id"] is None:
        return None
    return AccountRow(**{name: row[name] for name in ("id", "email", "username", "role", "plan", "is_active")})


def _taken(error: asyncpg.UniqueViolationError) -> Taken:
    return Taken("username" if "username" in str(error.constraint_name) else "email")

"""Sessions in real rows: they slide, they end, and a refresh token is exchanged once, whoever asks at the same time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.settings import CommonSettings
from gateway.database import Database
from gateway.identity.account_store import AccountStore, Changed, NewAccount
from gateway.identity.refresh import RefreshToken
from gateway.identity.reset_store import ResetStore
from gateway.identity.session_store import SessionStore
from support.platform import fresh_database

CRYPT = Crypt([Fernet.generate_key().decode()])


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(database), _env_file=None)) as pool:
        yield pool


@pytest.fixture
def store(pool: asyncpg.Pool) -> SessionStore:
    return SessionStore(Database(pool, seconds=10), CRYPT)


@pytest.fixture
async def account(pool: asyncpg.Pool) -> UUID:
    accounts = AccountStore(Database(pool, seconds=10), CRYPT)
    return (await accounts.add(NewAccount(email=None, password_hash=None, consents={}))).id


async def begin(store: SessionStore, account: UUID) -> RefreshToken:
    return await store.open(account, agent="test", address="192.0.2.1")


async def exchanged(store: SessionStore, token: RefreshToken) -> RefreshToken:
    rotation = await store.rotate(token)
    assert rotation is not None
    assert rotation.token is not None
    return rotation.token


async def hours_pass(pool: asyncpg.Pool, session: UUID, hours: float) -> None:
    await pool.execute(
        "UPDATE sessions SET created_at = created_at - $2::interval, last_seen = last_seen - $2,"
        " expires_at = expires_at - $2, rotated_at = rotated_at - $2 WHERE id = $1",
        *(session, timedelta(hours=hours)),
    )


async def test_a_session_lasts_a_day_from_its_last_activity(
    pool: asyncpg.Pool, store: SessionStore, account: UUID
) -> None:
    token = await begin(store, account)
    for _ in range(3):
        await hours_pass(pool, token.session, 23.5)
        assert await store.alive(token.session)
    await hours_pass(pool, token.session, 24.1)
    assert not await store.alive(token.session)
    assert await store.rotate(token) is None


async def test_asking_often_writes_once_a_minute(pool: asyncpg.Pool, store: SessionStore, account: UUID) -> None:
    token = await begin(store, account)
    written = "SELECT xmin::text FROM sessions WHERE id = $1"
    before = await pool.fetchval(written, token.session)
    assert all([await store.alive(token.session) for _ in range(5)])
    assert await pool.fetchval(written, token.session) == before
    await hours_pass(pool, token.session, 0.02)
    before = await pool.fetchval(written, token.session)
    assert await store.alive(token.session)
    assert await pool.fetchval(written, token.session) != before


async def test_activity_counts_in_sessions_of_a_minute_too(pool: asyncpg.Pool, account: UUID) -> None:
    store = SessionStore(Database(pool, seconds=10), CRYPT, lasts=timedelta(minutes=1))
    token = await begin(store, account)
    for _ in range(4):
        await hours_pass(pool, token.session, 20 / 3600)
        assert await store.alive(token.session)
    await hours_pass(pool, token.session, 61 / 3600)
    assert not await store.alive(token.session)


async def test_refreshing_is_activity(pool: asyncpg.Pool, store: SessionStore, account: UUID) -> None:
    token = await begin(store, account)
    for _ in range(3):
        await hours_pass(pool, token.session, 20)
        token = await exchanged(store, token)
    assert await store.alive(token.session)


async def test_a_lost_answer_is_repeated_with_the_same_token_and_only_for_a_while(
    pool: asyncpg.Pool, store: SessionStore, account: UUID
) -> None:
    first = await begin(store, account)
    second = await exchanged(store, first)
    assert await exchanged(store, first) == second
    # Several tabs at the same moment are given one successor, and the session goes on with it.
    third = set(await asyncio.gather(*(exchanged(store, second) for _ in range(8))))
    assert len(third) == 1
    # Repeating does not prolong it.
    await hours_pass(pool, first.session, 11 / 3600)
    rotation = await store.rotate(second)
    assert rotation is not None
    assert rotation.token is None
    assert await store.rotate(third.pop()) is None
    assert not await store.alive(first.session)


async def test_there_is_no_grace_once_the_successor_was_used(store: SessionStore, account: UUID) -> None:
    first = await begin(store, account)
    second = await exchanged(store, first)
    third = await exchanged(store, second)
    rotation = await store.rotate(first)
    assert rotation is not None
    assert (rotation.account, rotation.session, rotation.token) == (account, first.session, None)
    assert await store.rotate(third) is None


async def test_a_thief_and_the_owner_who_both_go_on_lose_the_session(
    pool: asyncpg.Pool, store: SessionStore, account: UUID
) -> None:
    stolen = await begin(store, account)
    of_owner = await exchanged(store, stolen)
    of_thief = await exchanged(store, stolen)  # within the grace
    after = await exchanged(store, of_owner)
    await hours_pass(pool, stolen.session, 1)
    rotation = await store.rotate(of_thief)
    assert rotation is not None
    assert rotation.token is None
    assert await store.rotate(after) is None


async def test_who_knows_a_session_by_name_only_can_neither_use_nor_end_it(store: SessionStore, account: UUID) -> None:
    token = await begin(store, account)
    for made_up in (
        RefreshToken.new(token.session),
        RefreshToken(token.session, bytes(16), token.secret),
        RefreshToken.new(account),
    ):
        assert await store.rotate(made_up) is None
    assert await store.alive(token.session)
    assert await exchanged(store, token)


async def test_a_dump_of_the_rows_has_no_token(pool: asyncpg.Pool, store: SessionStore, account: UUID) -> None:
    first = await begin(store, account)
    second = await exchanged(store, first)
    row = await pool.fetchrow("SELECT * FROM sessions WHERE id = $1", first.session)
    kept = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    for token in (first, second):
        assert token.secret not in kept
        assert token.family not in kept
        assert token.text.encode() not in kept


async def test_ending_all_saves_one_and_tells(store: SessionStore, account: UUID) -> None:
    told: list[UUID] = []
    store.when_ended(told.append)
    tokens = [await begin(store, account) for _ in range(3)]
    assert await store.revoke_all(account, "test", save=tokens[0].session) == 2
    assert set(told) == {tokens[1].session, tokens[2].session}
    assert [await store.alive(token.session) for token in tokens] == [True, False, False]


async def test_a_password_set_by_mail_ends_all_and_tells(
    pool: asyncpg.Pool, store: SessionStore, account: UUID
) -> None:
    told: list[UUID] = []
    store.when_ended(told.append)
    tokens = [await begin(store, account) for _ in range(2)]
    resets = ResetStore(Database(pool, seconds=10), ended=store.tell_ended)
    assert await resets.use(await resets.add(account, "192.0.2.1"), "a hash", "192.0.2.1") == account
    assert set(told) == {token.session for token in tokens}


async def test_what_ended_long_ago_is_forgotten(pool: asyncpg.Pool, store: SessionStore, account: UUID) -> None:
    tokens = [await begin(store, account) for _ in range(2)]
    await hours_pass(pool, tokens[0].session, 24 * 32)
    await store.tidy()
    left = await pool.fetch("SELECT id FROM sessions WHERE account_id = $1", account)
    assert [row["id"] for row in left] == [tokens[1].session]


@pytest.mark.parametrize("asked", [{"texts": {"company": "Acme"}}, {"consents": {"gdpr": True}}])
async def test_a_change_of_an_account_that_ended_meanwhile_is_told(
    pool: asyncpg.Pool, account: UUID, asked: dict[str, Any]
) -> None:
    accounts = AccountStore(Database(pool, seconds=10), CRYPT)
    person = await accounts.person(account)
    assert person is not None
    await pool.execute("DELETE FROM accounts WHERE id = $1", account)
    with pytest.raises(Changed):
        await accounts.apply(person, **asked)

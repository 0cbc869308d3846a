"""Passwords and refresh tokens: one check whoever it is, old hashes replaced, tokens that are exchanged once."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import bcrypt
import pytest
from argon2 import PasswordHasher

from gateway.identity import imported, passwords
from gateway.identity.passwords import Passwords
from gateway.identity.refresh import RefreshToken
from gateway.problems import Problem

RIGHT, WRONG = "Correct-horse-7", "Wrong-horse-7"
OLD = "sha256$" + sha256(b"weak" + b"pepper").hexdigest()
BCRYPT = bcrypt.hashpw(b"weak", bcrypt.gensalt(rounds=4)).decode()


@pytest.fixture
def keeper() -> Iterator[Passwords]:
    keeper = Passwords(at_once=2, most_waiting=1, salt="pepper")
    yield keeper
    keeper.close()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How much was worked, whatever the clock says."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str, label: str) -> None:
        usual = getattr(owner, name)

        def counting(*given: Any) -> Any:
            counted[label] += 1
            return usual(*given)

        monkeypatch.setattr(owner, name, counting)

    count(passwords.PasswordHasher, "verify", "argon2 checks")
    count(passwords.PasswordHasher, "hash", "argon2 hashes")
    count(imported.bcrypt, "checkpw", "bcrypt checks")
    return counted


async def test_a_hash_is_argon2id_as_strong_as_asked_and_never_twice_the_same(keeper: Passwords) -> None:
    hashes = {await keeper.hash(RIGHT) for _ in range(2)}
    assert len(hashes) == 2
    for made in hashes:
        assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await keeper.check(RIGHT, made) == passwords.Verdict(right=True)
        assert not (await keeper.check(WRONG, made)).right


@pytest.mark.parametrize("bcrypt_left", [False, True])
async def test_nobody_costs_the_same_as_a_wrong_password(
    keeper: Passwords, work: Counter[str], bcrypt_left: bool
) -> None:
    costs = []
    for known in (None, await keeper.hash(RIGHT), OLD, BCRYPT if bcrypt_left else None):
        work.clear()
        assert not (await keeper.check(WRONG, known, bcrypt_left=bcrypt_left)).right
        costs.append(Counter(work))
    expected = Counter({"argon2 checks": 1, "bcrypt checks": 1} if bcrypt_left else {"argon2 checks": 1})
    assert costs == [expected] * 4


@pytest.mark.parametrize(
    "old", [OLD, OLD.upper().replace("SHA256", "sha256"), BCRYPT], ids=["SHA-256", "in capitals", "bcrypt"]
)
async def test_an_imported_hash_is_checked_once_and_replaced(keeper: Passwords, old: str) -> None:
    verdict = await keeper.check("weak", old, bcrypt_left=True)
    assert verdict.right
    assert verdict.better is not None
    assert verdict.better.startswith("$argon2id$")
    assert await keeper.check("weak", verdict.better) == passwords.Verdict(right=True)


async def test_an_imported_hash_needs_the_salt_it_was_made_with() -> None:
    for salt in (None, "", "other"):
        keeper = Passwords(salt=salt)
        assert not (await keeper.check("weak", OLD)).right
        keeper.close()


async def test_a_long_password_of_old_is_looked_at_as_bcrypt_did(keeper: Passwords) -> None:
    long = "Aa1" + "x" * 97
    known = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(rounds=4)).decode()
    assert (await keeper.check(long, known)).right


async def test_a_weaker_hash_of_ours_is_made_anew(keeper: Passwords) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(RIGHT)
    verdict = await keeper.check(RIGHT, weaker)
    assert verdict.better is not None
    assert "m=19456,t=2" in verdict.better
    assert (await keeper.check(WRONG, weaker)).better is None


async def test_a_password_is_one_however_it_is_typed(keeper: Passwords) -> None:
    assert (await keeper.check("Caf\u00e9-horse-7", await keeper.hash("Cafe\u0301-horse-7"))).right


@pytest.mark.parametrize("known", ["", "nonsense", "$argon2id$broken", "$2b$12$short", "sha256$", "sha256$zz"])
async def test_a_broken_hash_lets_nobody_in(keeper: Passwords, known: str) -> None:
    assert not (await keeper.check("", known)).right


async def test_only_so_many_are_worked_on_and_so_many_wait(keeper: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, at_once = threading.Semaphore(0), threading.Event(), []

    def slow(self: Any, password: str) -> str:
        at_once.append(threading.current_thread().name)
        begun.release()
        go_on.wait(10)
        return password

    monkeypatch.setattr(passwords.PasswordHasher, "hash", slow)
    under_way = [asyncio.create_task(keeper.hash(str(number))) for number in range(3)]
    for _ in range(2):
        assert await asyncio.to_thread(begun.acquire, timeout=10)
    with pytest.raises(Problem) as refused:
        await keeper.hash("one too many")
    assert refused.value.kind.status == 503
    assert len(at_once) == 2
    go_on.set()
    assert await asyncio.gather(*under_way) == ["0", "1", "2"]


def test_a_refresh_token_reads_back_and_its_successor_is_of_the_family() -> None:
    first = RefreshToken.new(uuid4())
    assert RefreshToken.read(first.text) == first
    second = first.next()
    assert (second.session, second.family_hash) == (first.session, first.family_hash)
    assert second.hash != first.hash
    assert first.secret.hex() not in first.hash.hex()


@pytest.mark.parametrize("text", ["", "swr_", "swr_AAAA", "sw_key", "swr_" + "A" * 85, "swr_" + "é" * 86, "swr_ " * 20])
def test_what_is_no_refresh_token(text: str) -> None:
    assert RefreshToken.read(text) is None

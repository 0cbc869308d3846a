"""What the door remembers of good and bad credentials, how uses are counted, and how refusals are told."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from gateway.batched import Batched
from gateway.database import StoreUnavailable
from gateway.identity import seen as seen_module
from gateway.identity.keys import Admitted
from gateway.identity.refused import BURST, Refusals
from gateway.identity.seen import AWAY, FRESH, WRONG, Seen
from gateway.identity.uses import Uses
from gateway.principal import SCOPES, Principal, allowed
from support.waiting import eventually


class Clock:
    """Seconds."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen(clock: Clock) -> Seen:
    return Seen(clock=clock, now=clock)


def somebody() -> Principal:
    """A principal with a key of their own."""
    return Principal("ada", "key", frozenset({"jobs:read"}), credential=uuid4())


def test_a_good_one_is_believed_for_two_seconds_and_for_ten_minutes_while_nobody_can_be_asked(
    seen: Seen, clock: Clock
) -> None:
    ada = somebody()
    seen.confirm(b"a", Admitted(ada), changes=seen.changes)
    clock.at += FRESH - 0.01
    assert seen.fresh(b"a") == ada
    clock.at += 0.02
    assert seen.fresh(b"a") is None
    assert seen.lately(b"a") == ada
    clock.at += AWAY
    assert seen.lately(b"a") is None


def test_none_is_believed_beyond_its_own_end(seen: Seen, clock: Clock) -> None:
    seen.confirm(b"a", Admitted(somebody(), ends=clock.at + 1), changes=seen.changes)
    clock.at += 1
    assert seen.fresh(b"a") is None
    assert seen.lately(b"a") is None


def test_what_is_revoked_here_is_forgotten_at_once_also_when_an_answer_is_under_way(seen: Seen) -> None:
    ada, bob = somebody(), somebody()
    asked = seen.changes
    seen.confirm(b"a", Admitted(ada), changes=asked)
    seen.confirm(b"b", Admitted(bob), changes=asked)
    assert ada.credential is not None
    seen.forget(ada.credential)
    assert seen.fresh(b"a") is seen.lately(b"a") is None
    assert seen.fresh(b"b") == bob
    seen.confirm(b"a", Admitted(ada), changes=asked)  # This was asked before it was revoked.
    assert seen.fresh(b"a") is None


def test_a_bad_one_is_remembered_for_seconds_and_is_no_longer_a_good_one(seen: Seen, clock: Clock) -> None:
    seen.confirm(b"a", Admitted(somebody()), changes=seen.changes)
    seen.refuse(b"a", "key_revoked")
    assert seen.wrong(b"a") == "key_revoked"
    assert seen.fresh(b"a") is seen.lately(b"a") is None
    clock.at += WRONG
    assert seen.wrong(b"a") is None


def test_it_remembers_no_more_than_fits(seen: Seen, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_module, "MOST_GOOD", 10)
    monkeypatch.setattr(seen_module, "MOST_WRONG", 10)
    for number in range(100):
        seen.confirm(b"%d" % number, Admitted(somebody()), changes=seen.changes)
        seen.refuse(b"w%d" % number, "key_unknown")
    assert sum(seen.fresh(b"%d" % number) is not None for number in range(100)) == 10
    assert seen.fresh(b"99") is not None
    assert sum(seen.wrong(b"w%d" % number) is not None for number in range(100)) <= 10


@pytest.mark.parametrize("role", ["user", "admin"])
def test_a_role_limits_scopes_and_reading_jobs_is_also_following_them(role: str) -> None:
    assert allowed(role, ["jobs:read"]) == {"jobs:read", "stream"}
    assert allowed(role, ["jobs:write", "made-up"]) == {"jobs:write"}
    assert ("admin" in allowed(role, SCOPES)) == (role == "admin")


class Book:
    """Where uses are written; it may be away."""

    def __init__(self) -> None:
        self.uses: dict[UUID, int] = {}
        self.away = False

    async def count(self, used: Mapping[UUID, tuple[int, datetime]]) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable
        for key, (uses, _) in used.items():
            self.uses[key] = self.uses.get(key, 0) + uses


async def test_uses_are_counted_exactly_also_over_an_outage_and_while_they_are_stored() -> None:
    book, key, other = Book(), uuid4(), uuid4()
    uses = Uses(book)
    for _ in range(5):
        uses.add(key)
    book.away = True
    flushing = asyncio.create_task(uses.flush())
    await asyncio.sleep(0)
    uses.add(key)
    uses.add(other)
    await flushing
    assert book.uses == {}
    book.away = False
    await uses.flush()
    await uses.flush()
    assert book.uses == {key: 6, other: 1}


async def test_an_error_that_nobody_expected_neither_ends_the_counting_nor_loses_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Book):
        failed = False

        async def count(self, used: Mapping[UUID, tuple[int, datetime]]) -> None:
            if not self.failed:
                self.failed = True
                raise ValueError
            await super().count(used)

    monkeypatch.setattr("gateway.identity.uses.FLUSH_EVERY", 0.01)
    book, key = Broken(), uuid4()
    uses = Uses(book)
    uses.add(key)
    keeping = asyncio.create_task(uses.keep())
    await eventually(lambda: book.uses == {key: 1}, 5)
    keeping.cancel()


async def test_look_ups_go_one_at_a_time_and_those_that_wait_go_together() -> None:
    asked: list[list[str]] = []
    at_once = 0

    async def look(names: Sequence[str]) -> dict[str, int]:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        asked.append(list(names))
        await asyncio.sleep(0)
        at_once -= 1
        if "bad" in names:
            raise StoreUnavailable
        return {name: len(name) for name in names if name != "none"}

    batched: Batched[str, int] = Batched(look)
    first = asyncio.create_task(batched.find("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    found = await asyncio.gather(first, *(batched.find(name) for name in ("bb", "bb", "none", "ccc")))
    assert found == [1, 2, 2, None, 3]
    assert asked == [["a"], ["bb", "none", "ccc"]]
    with pytest.raises(StoreUnavailable):
        await batched.find("bad")
    assert await batched.find("bb") == 2
    # Who gives up takes nothing from who asks for the same.
    patient, hasty = (asyncio.create_task(batched.find("ccc")) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient == 3


async def test_a_row_that_cannot_be_read_fails_only_those_who_asked_for_it() -> None:
    asked: list[list[str]] = []

    async def look(names: Sequence[str]) -> dict[str, int]:
        asked.append(list(names))
        await asyncio.sleep(0)
        if "torn" in names:
            raise ValueError("not readable")
        return {name: len(name) for name in names}

    batched: Batched[str, int] = Batched(look)
    names = ("a", "bb", "torn", "ccc", "dddd", "torn")
    found = await asyncio.gather(*(batched.find(name) for name in names), return_exceptions=True)
    assert [one if isinstance(one, int) else type(one) for one in found] == [1, 2, ValueError, 3, 4, ValueError]
    assert asked == [
        ["a", "bb", "torn", "ccc", "dddd"],
        ["a", "bb"],
        ["torn", "ccc", "dddd"],
        ["torn"],
        ["ccc", "dddd"],
    ]


async def test_a_database_that_is_away_is_told_to_all_and_asked_once() -> None:
    asked: list[list[str]] = []

    async def look(names: Sequence[str]) -> dict[str, int]:
        asked.append(list(names))
        await asyncio.sleep(0)
        raise StoreUnavailable

    batched: Batched[str, int] = Batched(look)
    found = await asyncio.gather(*(batched.find(name) for name in ("a", "bb")), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable, StoreUnavailable]
    assert asked == [["a", "bb"]]


class Journal:
    """The audit log, in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, request: web.Request, action: str, *, actor: str | None = None, **details: Any) -> None:
        self.lines.append((action, details))


async def test_a_flood_of_refusals_is_told_no_faster_than_it_can_be_read(clock: Clock) -> None:
    journal, request = Journal(), make_mocked_request("GET", "/v1/jobs")
    refusals = Refusals(journal, clock=clock)
    with capture_logs() as logs:
        for _ in range(10_000):
            refusals.tell(request, "key", "key_unknown")
        clock.at += 5
        for _ in range(10):
            refusals.tell(request, "token", "exp")
        await refusals.close()
    assert len(logs) == len(journal.lines) == BURST + 5
    assert logs[BURST]["untold"] == 10_000 - BURST
    assert journal.lines[0] == ("key.refused", {"reason": "key_unknown"})
    assert journal.lines[-1] == ("token.refused", {"reason": "exp"})

"""How items are released, apart from PostgreSQL and Kafka: whose turn it is, and what a refusal means."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from common import ids
from common.bus.producer import BusUnavailable
from common.events import JobControl
from gateway.batches.accept import PutOff
from gateway.batches.eta import eta_seconds
from gateway.batches.release import TURN, Releaser
from gateway.batches.store import Tally
from gateway.batches.work import Refusal, Work, job_of
from gateway.settings import GatewaySettings
from gateway.walls.gate import Room
from support.waiting import eventually

BATCH = uuid4()


def work(owner: str, line: int) -> Work:
    return Work(batch=BATCH, line=line, owner=owner, job=uuid4(), kind="url", source="", options={})


class Items:
    """Waiting items by owner, and what was noted of each."""

    def __init__(self, **waiting: int) -> None:
        self.waiting = {owner: [work(owner, line) for line in range(1, many + 1)] for owner, many in waiting.items()}
        self.notes: list[tuple[str, str, int]] = []
        self.turns: list[str] = []
        self.finished: list[set[UUID] | None] = []

    async def settle(self) -> set[UUID]:
        return set()

    async def owners(self) -> list[str]:
        return [owner for owner, works in self.waiting.items() if works]

    async def claim(self, owner: str, *, outstanding: int, turn: int) -> list[Work]:
        self.turns.append(owner)
        taken, self.waiting[owner] = self.waiting[owner][:turn], self.waiting[owner][turn:]
        return taken

    async def released(self, works: Sequence[Work]) -> None:
        self.notes += [("released", one.owner, one.line) for one in works]

    async def put_back(self, works: Sequence[Work]) -> None:
        self.notes += [("put back", one.owner, one.line) for one in works]
        for one in works:
            self.waiting[one.owner].append(one)

    async def refused(self, refusals: Sequence[Refusal]) -> None:
        self.notes += [(one.code, one.work.owner, one.work.line) for one in refusals]

    async def finish(self, batches: set[UUID] | None = None) -> None:
        self.finished.append(batches)

    async def in_status(self, status: str) -> list[tuple[UUID, str]]:
        return []


class Accepting:
    """Accepts items, save those it has another answer for."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def accept(self, one: Work) -> Refusal | None:
        answer = self.answers.get(f"{one.owner}{one.line}")
        if isinstance(answer, Exception):
            raise answer
        return Refusal(one, "url", answer, "no") if answer else None


class Roomy:
    """Knows no limits, save those it is told of."""

    def __init__(self, **jobs: int) -> None:
        self.jobs = jobs

    async def room(self, owner: str) -> Room:
        return Room(self.jobs.get(owner, 2**31), 10.0)


def releaser(items: Items, gate: Roomy | None = None, **answers: Any) -> Releaser:
    settings = GatewaySettings(operator_key_file="/x", encryption_keys_file="/x")  # type: ignore[arg-type]
    return Releaser(
        store=items,  # type: ignore[arg-type]
        acceptor=Accepting(**answers),  # type: ignore[arg-type]
        eraser=None,  # type: ignore[arg-type]
        gate=gate or Roomy(),  # type: ignore[arg-type]
        producer=None,  # type: ignore[arg-type]
        settings=settings,
    )


async def test_owners_take_turns_and_another_is_first_each_time() -> None:
    items = Items(ann=3 * TURN, bob=2, eve=TURN)
    one = releaser(items)
    await one.look(whole=False)
    assert items.turns == ["bob", "eve", "ann", "eve", "ann", "ann", "ann"]
    items.waiting = Items(ann=1, bob=1, eve=1).waiting
    items.turns.clear()
    await one.look(whole=False)
    assert items.turns == ["eve", "ann", "bob"]
    assert min(items.notes) == ("released", "ann", 1)
    assert len(items.notes) == 4 * TURN + 2 + 3


async def test_no_more_are_released_than_an_owners_limits_leave_room_for() -> None:
    items = Items(ann=TURN, bob=TURN, eve=2)
    await releaser(items, Roomy(ann=3, bob=0)).look(whole=False)
    assert (len(items.waiting["ann"]), len(items.waiting["bob"]), items.waiting["eve"]) == (TURN - 3, TURN, [])
    assert items.turns == ["eve", "ann"]


async def test_who_may_not_have_more_now_is_left_alone_and_holds_up_nobody() -> None:
    items = Items(ann=2 * TURN, bob=TURN + 1)
    await releaser(items, ann1=PutOff()).look(whole=False)
    assert items.turns.count("ann") == 1
    assert ("put back", "ann", 1) in items.notes
    assert len(items.waiting["ann"]) == TURN + 1
    assert items.waiting["bob"] == []


async def test_one_item_that_breaks_fails_alone() -> None:
    items = Items(ann=4)
    await releaser(items, ann2=KeyError("x"), ann3="no_such_thing").look(whole=False)
    assert sorted(items.notes) == [
        ("internal", "ann", 2),
        ("no_such_thing", "ann", 3),
        ("released", "ann", 1),
        ("released", "ann", 4),
    ]
    assert items.finished == [{BATCH}]


async def test_while_the_log_is_away_an_item_stays_claimed() -> None:
    items = Items(ann=2)
    with pytest.raises(BusUnavailable):
        await releaser(items, ann1=BusUnavailable()).look(whole=False)
    assert items.notes == [("released", "ann", 2)]


async def test_what_of_a_stopped_batch_may_be_in_the_log_is_told_before_it_is_given_up() -> None:
    job = uuid4()

    class Stopping(Items):
        def __init__(self) -> None:
            super().__init__()
            self.steps: list[UUID | str] = []

        async def in_status(self, status: str) -> list[tuple[UUID, str]]:
            return [(BATCH, "ann")] if status == "cancelling" else []

        async def being_claimed(self, batch: UUID) -> bool:
            return True

        async def jobs_out(self, batch: UUID) -> list[UUID]:
            return [job]

        async def named(self, batch: UUID) -> list[dict[str, Any]]:
            return []

        async def give_up_claims(self, batch: UUID, *, older_than: timedelta, others: Sequence[int]) -> None:
            self.steps.append("given up")

        async def publish(self, event: JobControl, *, timeout: float) -> None:
            self.steps.append(event.job_id)

    items = Stopping()
    one = releaser(items)
    one._producer = items  # type: ignore[assignment]
    await one.look(whole=False)
    assert items.steps == [job, "given up"]


def test_the_first_job_of_an_upload_is_the_uploads_own() -> None:
    upload, batch = uuid4(), uuid4()
    item = {"kind": "upload", "owner": "ann", "source": str(upload), "batch_id": batch, "line": 3}
    assert job_of(item, 1) == ids.upload_job("ann", upload)
    assert job_of(item, 2) == job_of(item | {"kind": "url"}, 2) != job_of(item | {"kind": "url"}, 1)


def tally(**more: Any) -> Tally:
    empty: dict[str, Any] = {
        "waiting": 0,
        "out": {},
        "out_known": 0,
        "out_seconds": 0.0,
        "lately": 0,
        "lately_known": 0,
        "lately_seconds": 0.0,
        "lately_age": 0.0,
    }
    return Tally(**(empty | more))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (tally(waiting=9), None),
        (tally(waiting=0, lately=9, lately_known=9, lately_seconds=90.0, lately_age=3.0), None),
        # 9 items of a mean of 10 s, at 30 s of audio a second
        (tally(waiting=9, lately=9, lately_known=9, lately_seconds=90.0, lately_age=3.0), 3.0),
        # one of them is known to be 100 s long
        (
            tally(
                waiting=8,
                out={"transcribing": 1},
                out_known=1,
                out_seconds=100.0,
                lately=9,
                lately_known=9,
                lately_seconds=90.0,
                lately_age=3.0,
            ),
            6.0,
        ),
        # all failed: items are counted
        (tally(waiting=8, lately=4, lately_age=2.0), 4.0),
    ],
)
def test_the_estimate(known: Tally, expected: float | None) -> None:
    assert eta_seconds(known) == (pytest.approx(expected) if expected is not None else None)


async def test_a_wake_while_it_looks_is_not_lost() -> None:
    looks = 0

    class Store(Items):
        async def busy(self) -> bool:
            nonlocal looks
            looks += 1
            if looks == 1:
                one.wake()
            return False

    one = releaser(Store())
    running = asyncio.create_task(one.run())
    await eventually(lambda: looks >= 2, 2)  # less than the pause between two looks
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

"""Leased work: held elsewhere, store away, taken over too often."""

import asyncio
from collections import Counter

from common.bus import Context, EachStage
from common.bus.dead import replay
from common.errors import Transient
from common.events import Event, SegmentReady
from common.leases import Lease
from common.testing.leases import MemoryLeases
from support.buskit import lag, publish, records, running, segment, transcribed
from support.waiting import eventually

TOPIC = "segment.ready.interactive"


async def committed(bootstrap: str) -> None:
    async def nothing_left() -> bool:
        return await lag(bootstrap, TOPIC) == 0

    await eventually(nothing_left)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class CountedLeases(MemoryLeases):
    """Leases that say how often each was taken."""

    def __init__(self, ttl: float, *, clock: Clock) -> None:
        super().__init__(ttl, clock=clock)
        self.taken = Counter[str]()

    async def acquire(self, name: str) -> Lease | None:
        """Count it."""
        lease = await super().acquire(name)
        self.taken[name] += lease is not None
        return lease


async def test_an_event_leased_elsewhere_waits_off_the_slots_and_runs_when_the_lease_is_free(bus_kafka: str) -> None:
    leases = MemoryLeases(30.0)
    event, done = segment("leased"), list[str]()

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        done.append(event.audio.name)
        return [transcribed(event)]

    elsewhere = await leases.acquire(str(event.id))
    assert elsewhere is not None
    stage = EachStage(event=SegmentReady, handler=handler, concurrency=1, leased=True)
    async with running(bus_kafka, stage, leases=leases):
        await publish(bus_kafka, [event, *(segment("other") for _ in range(30))])
        await eventually(lambda: len(done) == 30)
        assert "leased" not in done
        assert await lag(bus_kafka, TOPIC) > 0, "it is not finished, so it is not committed"
        await leases.release(elsewhere)
        await committed(bus_kafka)
    assert done.count("leased") == 1
    assert await leases.acquire(str(event.id)) is not None, "released after its outputs were acknowledged"


async def test_the_lease_is_kept_alive_while_the_handler_works(bus_kafka: str) -> None:
    leases, go, event = MemoryLeases(0.6), asyncio.Event(), segment("long")
    started = asyncio.Event()

    async def handler(_: SegmentReady, __: Context) -> list[Event]:
        started.set()
        await go.wait()
        return []

    stage = EachStage(event=SegmentReady, handler=handler, leased=True)
    async with running(bus_kafka, stage, leases=leases, lease_ttl=0.6):
        await publish(bus_kafka, [event])
        await asyncio.wait_for(started.wait(), 30)
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert await leases.acquire(str(event.id)) is None
        go.set()
        await committed(bus_kafka)


async def test_a_store_that_is_away_delays_the_event(bus_kafka: str) -> None:
    leases, done = MemoryLeases(30.0), list[int]()
    leases.down = True

    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        done.append(context.delivery)
        return []

    stage = EachStage(event=SegmentReady, handler=handler, leased=True)
    async with running(bus_kafka, stage, leases=leases, retry_limit=20):
        await publish(bus_kafka, [segment()])

        async def delayed() -> bool:
            return bool(await records(bus_kafka, "transcriber.retry.10s"))

        await eventually(delayed)
        leases.down = False
        await eventually(lambda: bool(done))
        await committed(bus_kafka)
    assert done[0] > 1


async def test_the_lease_is_free_again_after_a_failure(bus_kafka: str) -> None:
    leases, event, tries = MemoryLeases(30.0), segment(), Counter[int]()

    async def handler(_: SegmentReady, context: Context) -> list[Event]:
        tries[context.delivery] += 1
        if context.delivery == 1:
            raise Transient("busy")
        return []

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, leased=True), leases=leases):
        await publish(bus_kafka, [event])
        await eventually(lambda: tries[2] == 1, 10)


async def test_an_event_taken_over_twice_runs_alone(bus_kafka: str) -> None:
    clock = Clock()
    leases = MemoryLeases(30.0, clock=clock)
    suspect, running_now, beside, free_again = segment("suspect"), 0, list[int](), list[bool]()
    for _ in range(2):
        assert await leases.acquire(str(suspect.id)) is not None
        clock.now += 31

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        nonlocal running_now
        running_now += 1
        if event.audio.name == "suspect":
            for _ in range(20):
                beside.append(running_now)
                await asyncio.sleep(0.01)
        elif beside and not free_again:
            # Whatever this one does to its process, the suspect is done and must not be blamed for it.
            free_again.append((found := await leases.acquire(str(suspect.id))) is not None)
            if found is not None:
                await leases.release(found)
        await asyncio.sleep(0.01)
        running_now -= 1
        return [transcribed(event)]

    stage = EachStage(event=SegmentReady, handler=handler, concurrency=4, leased=True)
    async with running(bus_kafka, stage, leases=leases):
        await publish(bus_kafka, [*(segment() for _ in range(20)), suspect, *(segment() for _ in range(20))])
        await committed(bus_kafka)
    assert set(beside) == {1}
    assert free_again == [True]
    assert len(await records(bus_kafka, "segment.transcribed")) == 41


async def die_alone(leases: MemoryLeases, clock: Clock, event: Event, *, times: int) -> None:
    """Have so many holders of an event's lease fall silent, each while it ran alone."""
    for _ in range(times):
        lease = await leases.acquire(str(event.id))
        assert lease is not None
        assert await leases.renew(lease, alone=True)
        clock.now += 31


async def test_an_event_that_may_have_been_killed_from_outside_runs_alone_once_more(bus_kafka: str) -> None:
    clock = Clock()
    leases = MemoryLeases(30.0, clock=clock)
    framed, ran = segment("framed"), list[str]()
    for _ in range(5):
        assert await leases.acquire(str(framed.id)) is not None
        clock.now += 31
    await die_alone(leases, clock, framed, times=1)

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        ran.append(event.audio.name)
        return [transcribed(event)]

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, leased=True), leases=leases):
        await publish(bus_kafka, [framed])
        await committed(bus_kafka)
    assert ran == ["framed"]
    assert not await records(bus_kafka, f"{TOPIC}.dead")


async def test_an_event_whose_process_died_with_it_alone_again_is_dead(bus_kafka: str) -> None:
    clock = Clock()
    leases = MemoryLeases(30.0, clock=clock)
    poison, ran = segment("poison"), list[str]()
    await die_alone(leases, clock, poison, times=2)

    async def handler(event: SegmentReady, _: Context) -> list[Event]:
        ran.append(event.audio.name)
        return []

    async with running(bus_kafka, EachStage(event=SegmentReady, handler=handler, leased=True), leases=leases):
        await publish(bus_kafka, [poison, segment("innocent")])
        await committed(bus_kafka)
        assert ran == ["innocent"]
        (dead,) = await records(bus_kafka, f"{TOPIC}.dead")
        assert dict(dead.headers)["x-error-code"] == b"poison"
        assert len(await records(bus_kafka, "stage.failed")) == 1
        # Its offset was not committed when its process ended: it comes again, and is aside already.
        await publish(bus_kafka, [poison])
        await committed(bus_kafka)
        assert ran == ["innocent"]
        assert len(await records(bus_kafka, f"{TOPIC}.dead")) == 1
        assert len(await records(bus_kafka, "stage.failed")) == 1
        # Put back by hand it is tried again, within the time for which the lease remembers.
        assert len(await replay(bus_kafka, TOPIC)) == 1
        await eventually(lambda: ran == ["innocent", "poison"])
        await committed(bus_kafka)


async def test_solitude_waits_for_who_runs_before_poison_is_put_aside(bus_kafka: str) -> None:
    clock, go, started = Clock(), asyncio.Event(), asyncio.Event()
    leases, poison = CountedLeases(30.0, clock=clock), segment("poison")
    await die_alone(leases, clock, poison, times=2)

    async def handler(_: SegmentReady, __: Context) -> list[Event]:
        started.set()
        await go.wait()
        return []

    stage = EachStage(event=SegmentReady, handler=handler, concurrency=4, leased=True)
    async with running(bus_kafka, stage, leases=leases):
        await publish(bus_kafka, [segment("long")])
        await asyncio.wait_for(started.wait(), 30)
        await publish(bus_kafka, [poison])
        await eventually(lambda: leases.taken[str(poison.id)] == 3)
        await asyncio.sleep(0.5)
        assert not await records(bus_kafka, f"{TOPIC}.dead"), "who runs may end this process before the lease knows"
        go.set()
        await committed(bus_kafka)
    assert len(await records(bus_kafka, f"{TOPIC}.dead")) == 1
    again = await leases.acquire(str(poison.id))
    assert again is not None
    assert again.buried == "0"

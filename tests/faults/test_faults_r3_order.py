"""R3: whoever reads a topic sees the events of one job in order, however the service behind it is rebalanced."""

import asyncio
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.bus import Context, EachStage
from common.envelope import decode
from common.events import Event, SegmentTranscribed, StageProgress
from support.buskit import lag, publish, records, running, segment, transcribed
from support.promises import FULL, SEED, scenario
from support.waiting import eventually

JOBS = 500 if FULL else 120
EVENTS = 20 if FULL else 8
LONGEST = 0.1
REBALANCES = 3


@dataclass(frozen=True)
class Seen:
    """What an outside reader saw of one key: partitions, numbers in the order of reading, and those not seen before."""

    partitions: set[int]
    first: list[int]
    repeated: int


def seen_by_key(found: list[Any]) -> dict[bytes, Seen]:
    """The reader's history; a repeat is an event whose id was read before."""
    by_key = defaultdict[bytes, list[Any]](list)
    for record in found:
        by_key[record.key].append(record)
    seen = {}
    for key, of_key in by_key.items():
        ids, first = set[bytes](), list[int]()
        for record in of_key:
            event = decode(record.value, record.headers)
            assert isinstance(event, StageProgress)
            if (ce_id := dict(record.headers)["ce_id"]) not in ids:
                ids.add(ce_id)
                first.append(int(event.detail))
        seen[key] = Seen({record.partition for record in of_key}, first, len(of_key) - len(first))
    return seen


async def test_events_of_a_job_are_seen_in_order(bus_kafka: str) -> None:
    chance = random.Random(SEED)
    jobs = [UUID(int=chance.getrandbits(128)) for _ in range(JOBS)]
    ran = waiting = 0
    gate = asyncio.Event()
    gate.set()

    async def handler(event: SegmentTranscribed, _: Context) -> list[Event]:
        nonlocal ran, waiting
        await asyncio.sleep(chance.choice((0.0, 0.0, chance.uniform(0, LONGEST))))
        waiting += 1
        await gate.wait()
        waiting -= 1
        ran += 1
        fraction = event.index / EVENTS
        return [StageProgress(**event.job, stage="transcriber", fraction=fraction, detail=str(event.index))]

    stage = EachStage(event=SegmentTranscribed, handler=handler, concurrency=16, ordered=True)
    with scenario("R3", "order of a job's events through rebalances") as tally:
        await publish(bus_kafka, [transcribed(segment(job=job, index=n)) for n in range(EVENTS) for job in jobs])
        async with AsyncExitStack() as members:
            stays = await members.enter_async_context(running(bus_kafka, stage))
            topic = next(one for one in stays.subscriptions if one.topics == (SegmentTranscribed.type,))
            for number in range(REBALANCES):
                share = JOBS * EVENTS * (number + 1) // (REBALANCES + 2)
                await eventually(lambda share=share: ran >= share, 120)  # type: ignore[misc]
                before = topic.rebalances
                if number % 2 == 0:
                    gate.clear()  # so that the member that joins finds work under way, however fast the machine is
                    await eventually(lambda: waiting > 0, 60)
                    guest = await members.enter_async_context(AsyncExitStack())
                    await guest.enter_async_context(running(bus_kafka, stage))
                else:
                    await guest.aclose()
                await eventually(lambda before=before: topic.rebalances > before, 60)  # type: ignore[misc]
                gate.set()
                tally.faults += 1

            async def all_committed() -> bool:
                return await lag(bus_kafka, SegmentTranscribed.type) == 0

            await eventually(all_committed, 120)

        seen = seen_by_key(await records(bus_kafka, StageProgress.type))
        tally.redelivered = ran - JOBS * EVENTS
        tally.lost = sum(EVENTS - len(set(one.first)) for one in seen.values()) + (JOBS - len(seen)) * EVENTS
        tally.duplicated = sum(len(one.first) - len(set(one.first)) for one in seen.values())
        disordered = {key: one.first for key, one in seen.items() if one.first != sorted(one.first)}
        scattered = {key: one.partitions for key, one in seen.items() if len(one.partitions) > 1}
        tally.figures |= {
            "jobs": JOBS,
            "events": JOBS * EVENTS,
            "repeats read": sum(one.repeated for one in seen.values()),
            "jobs out of order": len(disordered),
            "jobs on several partitions": len(scattered),
        }
        assert not disordered, disordered
        assert not scattered, scattered
        assert (tally.lost, tally.duplicated, len(seen)) == (0, 0, JOBS)
        assert len({frozenset(one.partitions) for one in seen.values()}) > 1, "all keys on one partition proves nothing"
        assert tally.redelivered > 0, "no rebalance hit work under way, so the run proves nothing"

"""The schedule of retries in virtual time: when an event runs again, how often, and how it ends."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.bus import Context, EachStage
from common.bus.producer import Outgoing
from common.bus.runtime import Bus
from common.envelope import body, headers
from common.errors import Permanent, Transient
from common.events import Event, SegmentReady
from support.bus_model import world
from support.buskit import SERVICE, segment, transcribed
from support.buskit import settings as bus_settings

DELAYS = (10.0, 60.0, 600.0)
LIMIT = 8
SLACK = 1.0
"""Seconds that polling, acknowledging and another turn may add."""
TOPIC = "segment.ready.interactive"

Tries = list[tuple[float, int]]


def tried(asked: Sequence[float | str | None], seed: int) -> tuple[Tries, Counter[str]]:
    """Run one event whose deliveries fail as listed; when each began and its number, and what the log holds then.

    ``None`` and numbers are `Transient` with that ``retry_after``, ``refused`` is `Permanent`; after them it succeeds.
    """
    tries: Tries = []

    with world(seed, 1, commit_seconds=30) as there:

        async def handler(event: SegmentReady, context: Context) -> list[Event]:
            tries.append((there.loop.time(), context.delivery))
            outcome = asked[len(tries) - 1] if len(tries) <= len(asked) else "done"
            if outcome == "refused":
                raise Permanent("refused", "no")
            if outcome != "done":
                raise Transient("busy", retry_after=outcome)  # type: ignore[arg-type]
            return [transcribed(event)]

        there.kafka.process("one")
        own = bus_settings("one", retry_delays=DELAYS, retry_limit=LIMIT)
        bus = Bus(SERVICE, own, [EachStage(event=SegmentReady, handler=handler)])
        there.loop.do(bus.start())
        event = segment(job=UUID(int=1))
        there.kafka.append(*Outgoing(TOPIC, event.key.encode(), body(event), headers(event, service="test")))
        for _ in range(400):
            there.loop.advance(100)
            if there.idle():
                break
        assert there.idle(), "the event never ended"
        there.loop.do(bus.stop())
        return tries, Counter(record.topic for record in there.kafka.written)


ASKED = st.lists(st.none() | st.floats(0, 1_500), max_size=LIMIT + 2)


@settings(deadline=None, max_examples=40)
@given(ASKED, st.integers(0, 2**16))
def test_it_runs_again_within_the_jitter_never_sooner_than_asked_and_at_most_so_often(
    asked: list[float | None], seed: int
) -> None:
    tries, log = tried(asked, seed)
    assert [number for _, number in tries] == list(range(1, min(len(asked) + 1, LIMIT) + 1)), "each is counted once"
    for number, ((before, _), (after, _)) in enumerate(pairwise(tries)):
        wait, told = after - before, asked[number] or 0.0
        planned = DELAYS[min(number, len(DELAYS) - 1)]
        assert wait >= max(planned * 0.7, told) - 0.001, "sooner than planned, or than it was asked"
        # Whoever waits longer than the longest topic goes round: each round may add a turn.
        rounds = 1 + told // DELAYS[-1]
        assert wait <= max(planned, told * 1.1) + SLACK * rounds, "later than planned"
    dead = len(asked) >= LIMIT
    assert log[f"{TOPIC}.dead"] == log["stage.failed"] == dead
    assert log["segment.transcribed"] == (not dead)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, LIMIT - 1), st.integers(0, 2**16))
def test_a_refusal_ends_it_at_once_whatever_came_before(before: int, seed: int) -> None:
    tries, log = tried([*[None] * before, "refused"], seed)
    assert len(tries) == before + 1
    assert (log[f"{TOPIC}.dead"], log["stage.failed"], log["segment.transcribed"]) == (1, 1, 0)


def test_the_jitter_spreads() -> None:
    waits = [round(tries[1][0] - tries[0][0]) for tries, _ in (tried([None], seed) for seed in range(12))]
    assert len(set(waits)) > 2, "everybody would come back at once"
    assert random.Random(0).uniform(0.7, 1.0) == pytest.approx(0.953, abs=0.001), "the seeds above are honest"

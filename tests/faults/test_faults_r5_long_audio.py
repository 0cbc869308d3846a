"""R5: hours of audio through rebalances, a zombie and a crash: only what was in flight is done or paid for again."""

import asyncio
import json
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common import layout
from common.events import SegmentReady, SegmentTranscribed, TranscriptCompleted, UsageRecorded
from common.topics import apply
from support.buskit import publish
from support.fake_deepgram import FakeDeepgram
from support.promises import FULL, Tally, scenario
from support.segments import OWNER
from support.thread_loop import ThreadLoop
from support.topiclog import read_log
from support.transcribers import Transcribers, calls, in_flight, long_job
from support.waiting import until

HOURS = 2
PIECE = 300.0
"""Seconds: segments as the catalogue plans them for this provider."""
COUNT = round(HOURS * 3600 / PIECE)
SLOTS = 4
LEASE_TTL = 20.0 if FULL else 3.0
STOPPED = 60.0 if FULL else 3 * LEASE_TTL


@pytest.fixture(scope="module")
def loop() -> Iterator[ThreadLoop]:
    thread = ThreadLoop()
    yield thread
    thread.close()


class Gated(FakeDeepgram):
    """A provider that answers when it is let: faults come when calls are in flight, however slow the machine."""

    def __init__(self, loop: ThreadLoop) -> None:
        super().__init__()
        self._thread = loop

    def let(self, number: int) -> None:
        """Have the next calls answered, the oldest first."""

        async def let() -> None:
            for _ in range(number):
                assert self.gate is not None
                self.gate.release()

        self._thread.run(let())

    def let_all(self) -> None:
        """Have every call answered from now on."""
        self.let(100_000)


@pytest.fixture
def engine(loop: ThreadLoop) -> Iterator[Gated]:
    with loop.entered(Gated(loop)) as fake:
        fake.gate = asyncio.Semaphore(0)
        yield fake
        fake.let_all()


@dataclass
class Run:
    """One long job, published."""

    there: Transcribers
    engine: Gated
    kafka: str
    job: UUID
    ready: list[SegmentReady]

    def done(self) -> int:
        """Results that are stored."""
        return self.there.stored(self.job, COUNT)

    def busy(self, least: int) -> None:
        """Wait until that many calls are in flight."""
        until(lambda: in_flight(self.engine) >= least, seconds=60, every=0.02, why=f"{least} calls are in flight")

    def announced(self) -> list[TranscriptCompleted]:
        """Its transcripts on the log."""
        return [event for event in self._events("transcript.completed") if isinstance(event, TranscriptCompleted)]

    def check(self, tally: Tally) -> None:
        """Wait until it has ended; then derive from provider, log and store what was done how often."""
        until(self.announced, seconds=120, every=0.5, why="the transcript is announced")
        asked, paid = calls(self.engine), self.engine.paid()
        transcribed = [e for e in self._events("segment.transcribed") if isinstance(e, SegmentTranscribed)]
        usage = defaultdict[UUID, set[str]](set)
        for event in self._events("usage.recorded"):
            if isinstance(event, UsageRecorded) and event.job_id == self.job:
                usage[event.usage_id].add(event.model_dump_json())
        tally.redelivered = len(transcribed) - len({event.id for event in transcribed})
        tally.lost = COUNT - len({event.id for event in transcribed})
        tally.duplicated = len({event.id for event in self.announced()}) - 1
        tally.paid_twice = sum(paid.values()) - len(paid)
        tally.figures |= {"segments": COUNT, "calls": sum(asked.values())}
        assert len(asked) == COUNT
        assert (tally.lost, tally.duplicated) == (0, 0)
        assert (len(usage), {len(told) for told in usage.values()}) == (COUNT, {1}), "one billable record a segment"
        assert self._text() == [word for index in range(COUNT) for word in self._heard(index)]
        assert len({event.text for event in self.announced()}) == 1

    def _text(self) -> list[str]:
        (told, *_) = self.announced()
        stored = json.loads(self._blob(told.transcript.name))
        assert stored["duration"] == HOURS * 3600
        return [word["word"] for word in stored["words"]]

    def _heard(self, index: int) -> list[str]:
        result = json.loads(self._blob(layout.segment_result(OWNER, self.job, index)))
        assert result["start"] == index * PIECE
        assert all(result["start"] <= word["start"] <= word["end"] <= result["end"] for word in result["words"])
        return [word["word"] for word in result["words"]]

    def _blob(self, name: str) -> bytes:
        return (self.there.folder / "blobs" / name).read_bytes()

    def _events(self, topic: str) -> list[Any]:
        found = asyncio.run(read_log(self.kafka, [topic]))
        return [one.event for one in found if one.event.job_id == self.job]


@contextmanager
def long_run(kafka: str, engine: Gated, folder: Path) -> Iterator[Run]:
    """A job of two hours that waits for transcribers."""
    asyncio.run(apply(kafka))
    there = Transcribers(folder, kafka, engine, slots=SLOTS, lease_ttl=LEASE_TTL)
    (folder / "blobs").mkdir()
    ready = asyncio.run(long_job(there.blobs, seconds=HOURS * 3600, piece=PIECE))
    asyncio.run(publish(kafka, ready))
    try:
        yield Run(there, engine, kafka, ready[0].job_id, ready)
    except BaseException:
        there.show_logs()
        raise
    finally:
        there.stop()


def test_two_hours_are_heard_once_through_three_rebalances(kafka_bootstrap: str, engine: Gated, tmp_path: Path) -> None:
    with (
        scenario("R5", "two hours through three rebalances") as tally,
        long_run(kafka_bootstrap, engine, tmp_path) as run,
    ):
        run.there.begin()
        run.busy(SLOTS)
        guest = run.there.begin()
        run.busy(SLOTS + 1)
        tally.faults += 1
        guest.process.terminate()
        until(lambda: not guest.ready(), seconds=30, why="the guest says that it stops")
        engine.let(in_flight(engine))
        assert guest.process.wait(60) == 0
        tally.faults += 1
        run.busy(SLOTS)
        run.there.begin()
        run.busy(SLOTS + 1)
        tally.faults += 1
        engine.let_all()
        run.check(tally)
        assert set(calls(engine).values()) == {1}, "a segment was heard twice although nobody died"
        assert tally.redelivered > 0, "no rebalance hit a segment under way, so the run proves nothing"


def test_a_transcriber_that_was_stopped_for_a_while_changes_nothing_when_it_comes_back(
    kafka_bootstrap: str, engine: Gated, tmp_path: Path
) -> None:
    with (
        scenario("R5", "a stopped transcriber comes back") as tally,
        long_run(kafka_bootstrap, engine, tmp_path) as run,
    ):
        zombie = run.there.begin()
        run.busy(SLOTS)
        zombie.tell(signal.SIGSTOP)
        stopped = time.monotonic()
        tally.faults += 1
        held = set(calls(engine))
        # Its calls are answered while it cannot read: it was paid for, and comes back with results in its hands.
        engine.let_all()
        run.there.begin()
        until(lambda: run.done() == COUNT, seconds=120, why="the other has taken over everything")
        until(lambda: time.monotonic() - stopped > STOPPED, seconds=STOPPED + 5, why="it was stopped long enough")
        there = {path: path.read_bytes() for path in results(run)}
        zombie.tell(signal.SIGCONT)
        run.check(tally)
        zombie.leave()
        again = {sha for sha, number in calls(engine).items() if number > 1}
        tally.figures |= {"stopped for s": STOPPED, "in flight": len(held), "heard again": len(again)}
        assert again == held, "what the zombie held was heard again, and nothing else was"
        assert max(calls(engine).values()) == 2
        assert {path: path.read_bytes() for path in results(run)} == there, "a late write replaced a result"


def results(run: Run) -> list[Path]:
    """The results that are stored."""
    names = (layout.segment_result(OWNER, run.job, index) for index in range(COUNT))
    return [path for name in names if (path := run.there.folder / "blobs" / name).exists()]


def test_a_crash_half_way_repeats_only_what_was_in_flight(kafka_bootstrap: str, engine: Gated, tmp_path: Path) -> None:
    with scenario("R5", "killed half-way") as tally, long_run(kafka_bootstrap, engine, tmp_path) as run:
        victim = run.there.begin()
        engine.let(COUNT // 2)
        until(lambda: run.done() == COUNT // 2, seconds=120, every=0.05, why="half is done")
        run.busy(SLOTS)
        victim.kill()
        tally.faults += 1
        flying, began = calls(engine).total() - run.done(), time.monotonic()
        before = len(engine.calls)
        run.there.begin()
        until(lambda: len(engine.calls) > before, seconds=90, every=0.05, why="the next one works")
        tally.figures["next call after s"] = round(time.monotonic() - began, 1)
        engine.let_all()
        run.check(tally)
        redone = calls(engine).total() - COUNT
        tally.figures |= {"in flight at the kill": flying, "heard again": redone}
        assert 0 < redone <= flying <= SLOTS

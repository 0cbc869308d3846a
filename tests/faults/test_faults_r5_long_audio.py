"""R5: hours of audio through rebalances, a zombie and a crash: only what was in flight is done or paid for again."""

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict
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
from support.history import topic_events
from support.promises import FULL, Tally, scenario
from support.running import until
from support.segments import OWNER
from support.thread_loop import ThreadLoop
from support.transcribers import Transcribers, calls, in_flight, long_job

HOURS = 2
PIECE = 300.0
"""Seconds: segments as the catalogue plans them for this provider."""
COUNT = round(HOURS * 3600 / PIECE)
SLOTS = 4
LATENCY = 8.0 if FULL else 2.5
LEASE_TTL = 20.0 if FULL else 3.0
STOPPED = 60.0 if FULL else 3 * LEASE_TTL


@pytest.fixture(scope="module")
def loop() -> Iterator[ThreadLoop]:
    thread = ThreadLoop()
    yield thread
    thread.close()


@pytest.fixture
def engine(loop: ThreadLoop) -> Iterator[FakeDeepgram]:
    with loop.entered(FakeDeepgram(latency=LATENCY)) as fake:
        yield fake


@dataclass
class Run:
    """One long job, published."""

    there: Transcribers
    engine: FakeDeepgram
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
        return [event for event in asyncio.run(topic_events(self.kafka, [topic])) if event.job_id == self.job]


@contextmanager
def long_run(kafka: str, engine: FakeDeepgram, folder: Path) -> Iterator[Run]:
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


def test_two_hours_are_heard_once_through_three_rebalances(
    kafka_bootstrap: str, engine: FakeDeepgram, tmp_path: Path
) -> None:
    with scenario("R5", "two hours through three rebalances") as tally:
        with long_run(kafka_bootstrap, engine, tmp_path) as run:
            first = run.there.begin()
            run.busy(SLOTS)
            guest = run.there.begin()
            run.busy(SLOTS + 1)
            tally.faults += 1
            guest.leave()
            tally.faults += 1
            assert run.done() < COUNT - SLOTS, "too little was left for the third rebalance"
            run.busy(1)
            run.there.begin()
            run.busy(1)
            tally.faults += 1
            run.check(tally)
            assert set(calls(engine).values()) == {1}, "a segment was heard twice although nobody died"
            first.leave()
        assert tally.paid_twice == 0
        assert tally.redelivered > 0, "no rebalance hit a segment under way, so the run proves nothing"


def test_a_transcriber_that_was_stopped_for_a_while_changes_nothing_when_it_comes_back(
    kafka_bootstrap: str, engine: FakeDeepgram, tmp_path: Path
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
        held = Counter(call.sha256 for call in engine.calls)
        before = {path: path.stat().st_mtime_ns for path in results(run)}
        assert len(held) - len(before) >= 1, "it had nothing in flight"
        run.there.begin()
        until(lambda: calls(engine).total() > held.total(), seconds=90, why="the other takes over")
        # It comes back when its leases have lapsed and its segments are being heard, or were, by the other.
        until(lambda: time.monotonic() - stopped > STOPPED, seconds=STOPPED + 5, why="it was stopped long enough")
        there = {path: path.read_bytes() for path in results(run)}
        zombie.tell(signal.SIGCONT)
        run.check(tally)
        again = {sha: number for sha, number in calls(engine).items() if number > 1}
        tally.figures |= {"stopped for s": STOPPED, "heard again": len(again), "in flight": len(held) - len(before)}
        assert set(again) <= set(held), "something was heard again that the zombie did not hold"
        assert len(again) <= len(held) - len(before) <= SLOTS
        assert all(path.read_bytes() == data for path, data in there.items()), "a late write replaced a result"
        assert again, "nothing was taken over from the zombie, so the run proves nothing"
        zombie.leave()


def results(run: Run) -> list[Path]:
    names = (layout.segment_result(OWNER, run.job, index) for index in range(COUNT))
    return [path for name in names if (path := run.there.folder / "blobs" / name).exists()]


def test_a_crash_half_way_repeats_only_what_was_in_flight(
    kafka_bootstrap: str, engine: FakeDeepgram, tmp_path: Path
) -> None:
    with scenario("R5", "killed half-way") as tally, long_run(kafka_bootstrap, engine, tmp_path) as run:
        victim = run.there.begin()
        until(lambda: run.done() >= COUNT // 2, seconds=120, every=0.05, why="half is done")
        run.busy(1)
        victim.kill()
        tally.faults += 1
        flying = calls(engine).total() - run.done()
        began = time.monotonic()
        before = len(engine.calls)
        run.there.begin()
        until(lambda: len(engine.calls) > before, seconds=90, every=0.05, why="the next one works")
        tally.figures["next call after s"] = round(time.monotonic() - began, 1)
        run.check(tally)
        redone = calls(engine).total() - COUNT
        tally.figures |= {"in flight at the kill": flying, "heard again": redone}
        assert 0 < redone <= flying <= SLOTS

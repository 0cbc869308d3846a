"""Processes that die, stop, join and leave: nothing is lost, and nothing runs twice at once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.buskit import lag, lines, publish, records, segment
from support.waiting import eventually

TOPIC = "segment.ready.interactive"


class Workers:
    """Worker processes that share leases and notes."""

    def __init__(self, folder: Path) -> None:
        (folder / "leases").mkdir()
        self._folder = folder
        self.go = folder / "go"
        self.notes = folder / "notes"
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, bootstrap: str, name: str, slots: int = 4) -> subprocess.Popen[bytes]:
        """Start one."""
        tests = Path(__file__).parents[1]
        command = [sys.executable, "-m", "support.bus_worker", bootstrap, self._folder / "leases", self.notes, name]
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*map(str, command), str(slots)], cwd=tests, stderr=log, env=os.environ | {"PYTHONPATH": str(tests)}
            )
        self._all.append(process)
        return process

    def count(self, what: str) -> Counter[str]:
        """How often each event started, ended or died."""
        return Counter(event for said, event, _ in lines(self.notes) if said == what)

    def log(self, name: str) -> str:
        """What a worker logged."""
        return (self._folder / f"{name}.log").read_text()

    def of(self, what: str, name: str) -> set[str]:
        """Events that started, ended or died in one process."""
        return {event for said, event, by in lines(self.notes) if (said, by) == (what, name)}

    def never_twice_at_once(self, *killed: str) -> bool:
        """Whether no event started while it ran in a process that was not killed."""
        running: set[str] = set()
        for said, event, name in lines(self.notes):
            if name in killed:
                continue
            if said == "start" and event in running:
                return False
            (running.add if said == "start" else running.discard)(event)
        return True

    def stop_all(self) -> None:
        """End them all."""
        for process in self._all:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path)
    yield made
    made.stop_all()


async def ended(workers: Workers, number: int, seconds: float = 60) -> None:
    await eventually(lambda: len(workers.count("end")) >= number, seconds)


async def committed(bootstrap: str, seconds: float = 30) -> None:
    async def nothing_left() -> bool:
        return await lag(bootstrap, TOPIC) == 0

    await eventually(nothing_left, seconds)


def gone(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    return lambda: process.poll() is not None


async def test_a_crash_repeats_only_what_was_unfinished(bus_kafka: str, workers: Workers) -> None:
    quick = [segment() for _ in range(100)]
    slow = [segment(f"hold:{workers.go}") for _ in range(2)]
    first = workers.start(bus_kafka, "first")
    await publish(bus_kafka, [*slow, *quick])
    await ended(workers, 100)
    # What is finished behind the slow ones is finished, but their partitions are committed only up to them.
    first.kill()
    first.wait()
    assert not any(str(event.id) in workers.count("end") for event in slow)
    workers.go.touch()
    workers.start(bus_kafka, "second")
    await ended(workers, 102)
    await committed(bus_kafka)
    outputs = Counter(dict(record.headers)["ce_id"] for record in await records(bus_kafka, "segment.transcribed"))
    assert len(outputs) == 102
    starts = workers.count("start")
    assert all(starts[str(event.id)] == 2 for event in slow)


async def test_a_member_that_joins_and_leaves_while_all_slots_are_busy_harms_nothing(
    bus_kafka: str, workers: Workers
) -> None:
    events = [segment(f"hold:{workers.go}") for _ in range(90)]
    workers.start(bus_kafka, "stays")
    await publish(bus_kafka, events)
    await eventually(lambda: len(workers.count("start")) == 4)
    guest = workers.start(bus_kafka, "guest")
    await eventually(lambda: len(workers.count("start")) == 8, 60)
    guest.send_signal(signal.SIGTERM)
    workers.go.touch()
    await eventually(gone(guest), 30)
    assert guest.returncode == 0
    await ended(workers, 90)
    await committed(bus_kafka)
    assert workers.never_twice_at_once()
    assert set(workers.count("start")) == {str(event.id) for event in events}
    outputs = Counter(dict(record.headers)["ce_id"] for record in await records(bus_kafka, "segment.transcribed"))
    assert len(outputs) == 90


@pytest.mark.parametrize("slots", [1, 2, 8])
async def test_join_crash_and_stop_while_every_lane_is_busy(bus_kafka: str, workers: Workers, slots: int) -> None:
    """One lane, two and eight: what is rare with many lanes is the rule with one."""
    events = [segment(f"hold:{workers.go}") for _ in range(6 * slots + 30)]

    async def all_busy(name: str) -> None:
        await eventually(lambda: len(workers.of("start", name)) == slots, 90)

    workers.start(bus_kafka, "stays", slots)
    await publish(bus_kafka, events)
    await all_busy("stays")
    crashes = workers.start(bus_kafka, "crashes", slots)
    await all_busy("crashes")
    crashes.kill()
    crashes.wait()
    stops = workers.start(bus_kafka, "stops", slots)
    await all_busy("stops")
    assert not workers.count("end"), "every lane was busy all the time"
    stops.send_signal(signal.SIGTERM)
    await eventually(lambda: "stopping" in workers.log("stops"))
    workers.go.touch()
    await eventually(gone(stops), 30)
    assert stops.returncode == 0
    await ended(workers, len(events))
    await committed(bus_kafka)
    orphans = workers.of("start", "crashes")
    # What was finished behind an unfinished one may be delivered again; never beside itself, and nobody is left out.
    assert orphans <= {event for event, number in workers.count("start").items() if number > 1}
    assert set(workers.count("end")) == {str(event.id) for event in events}
    assert workers.of("start", "stops") == workers.of("end", "stops"), "what ran when it was stopped was finished"
    assert workers.never_twice_at_once("crashes")
    outputs = Counter(dict(record.headers)["ce_id"] for record in await records(bus_kafka, "segment.transcribed"))
    assert len(outputs) == len(events)


async def test_sigterm_finishes_what_runs_and_commits_it(bus_kafka: str, workers: Workers) -> None:
    events = [segment(f"hold:{workers.go}") for _ in range(12)]
    worker = workers.start(bus_kafka, "stopped")
    await publish(bus_kafka, events)
    await eventually(lambda: len(workers.count("start")) == 4)
    worker.send_signal(signal.SIGTERM)
    await eventually(lambda: "stopping" in workers.log("stopped"))
    workers.go.touch()
    await eventually(gone(worker), 30)
    assert worker.returncode == 0
    assert workers.count("end") == workers.count("start"), "what ran was finished"
    assert len(workers.count("start")) == 4, "what waited was not started"
    workers.start(bus_kafka, "next", slots=8)
    await ended(workers, 12)
    await committed(bus_kafka)
    assert all(number == 1 for number in workers.count("start").values()), "nothing that was finished ran again"


async def test_an_event_that_kills_its_process_is_put_aside_and_its_neighbours_are_done(
    bus_kafka: str, workers: Workers
) -> None:
    poison = segment("exit")
    neighbours = [segment() for _ in range(12)]
    await publish(bus_kafka, [poison, *neighbours])

    async def supervise() -> None:
        number = 0
        while True:
            worker = workers.start(bus_kafka, f"life{number}")
            while worker.poll() is None:
                await asyncio.sleep(0.05)
            number += 1

    supervising = asyncio.create_task(supervise())
    try:

        async def buried() -> bool:
            return len(await records(bus_kafka, f"{TOPIC}.dead")) == 1

        await eventually(buried, 120)
        await ended(workers, 12)
        await committed(bus_kafka)
    finally:
        supervising.cancel()
    deaths = workers.count("died")[str(poison.id)]
    assert deaths == 4
    (dead,) = await records(bus_kafka, f"{TOPIC}.dead")
    assert dict(dead.headers)["x-error-code"] == b"poison"
    (failed,) = await records(bus_kafka, "stage.failed")
    assert b'"code":"poison"' in failed.value
    assert set(workers.count("end")) == {str(event.id) for event in neighbours}

"""Bench F4: what is redone when the transcriber is killed at half of a long job.

Recordings of many segments by a provider that costs nothing, answers after a set time and counts its calls. In every
second one the transcriber is killed (SIGKILL) when half of the segments are there. Run by ``make bench``.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support.bench import Result, arguments, result, told
from support.fake_deepgram import FakeDeepgram
from support.paid_platform import paid_platform
from support.running import Running
from support.transcribing import tones, transcribe_all
from support.waiting import until

LATENCY = 0.2
SEGMENT = 20.0
ENVIRONMENT = {
    "SCRIBEWIRE_SEGMENT_SECONDS": str(SEGMENT),
    "SCRIBEWIRE_CONCURRENCY": "4",
    "SCRIBEWIRE_LEASE_TTL": "3",
}


@dataclass(frozen=True)
class Run:
    """One recording: calls made, segments there were, those in flight at the kill, and seconds of wall time."""

    calls: int
    segments: int
    in_flight: int
    wall: float

    @property
    def redone(self) -> int:
        """Calls more than there were segments."""
        return self.calls - self.segments


def once(platform: Running, engine: FakeDeepgram, file: Path, *, segments: int, kill: bool) -> Run:
    """Have a recording transcribed and perhaps kill the transcriber in the middle."""
    before, wall, in_flight = len(engine.calls), time.perf_counter(), 0
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(transcribe_all, platform, [file])
        if kill:
            pid = platform.part("transcriber")["pid"]
            half = before + segments // 2
            until(lambda: len(engine.calls) >= half, seconds=120, every=0.01, why="half of the calls are made")
            assert platform.kill("transcriber") == pid
            in_flight = sum(call.ended is None for call in engine.calls[before:])
        (ended,) = job.result(180)
    return Run(len(engine.calls) - before, int(ended["segments"]), in_flight, time.perf_counter() - wall)


def compare(platform: Running, engine: FakeDeepgram, folder: Path, *, rounds: int, minutes: int) -> list[Result]:
    """Unbroken and broken in turn; the figures go to standard output, the results are returned."""

    def files() -> Iterator[Path]:
        for number in range(2 * rounds + 1):
            yield tones(folder, minutes, tags={"title": str(number)})

    media = files()
    segments = once(platform, engine, next(media), segments=0, kill=False).segments
    whole, broken = [], []
    for number in range(rounds):
        for name, runs, kill in (("unbroken", whole, False), ("killed", broken, True)):
            run = once(platform, engine, next(media), segments=segments, kill=kill)
            runs.append(run)
            print(f"round {number + 1}  {name:8} {run}  redone {run.redone}", flush=True)
    return [
        result(
            f"F4 segments recognised again after a SIGKILL at half of {segments}",
            "segments in flight at the kill",
            [run.redone / run.in_flight for run in broken],
            aim=1.0,
            at_most=True,
            figures=", ".join(f"{run.redone} again of {run.in_flight} in flight" for run in broken),
        ),
        result(
            f"F4 provider calls of {minutes} min of audio, killed at half",
            "unbroken",
            [b.calls / a.calls for a, b in zip(whole, broken, strict=True)],
            aim=1.05,
            at_most=True,
            figures=f"{broken[0].calls} against {whole[0].calls} calls, {broken[0].wall:.0f} against"
            f" {whole[0].wall:.0f} s (a lease lapses after {ENVIRONMENT['SCRIBEWIRE_LEASE_TTL']} s here)",
        ),
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=40, help="length of a recording")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, paid_platform(ENVIRONMENT, latency=LATENCY) as (platform, engine):
        results = compare(platform, engine, Path(folder), rounds=given.rounds, minutes=given.minutes)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

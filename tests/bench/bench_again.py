"""Bench F5: the same recording once more, with the same options and by the same owner, beside its first run.

The whole platform with pocketsphinx, driven over HTTP: from the first byte sent to the event that says the job is
completed. Each round takes a recording that was never seen, then the same bytes several times more; a ratio is of one
of these to the round's first run. CPU is that of all services. Run by ``make bench``.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scribewire.client import Client, Job
from scribewire.config import Gateway
from support.bench import Result, arguments, result, told
from support.costs import Costs
from support.media import SAMPLES, make
from support.running import running
from support.transcribing import transcribe


@dataclass(frozen=True)
class Run:
    """One job: seconds of wall time, CPU seconds of all services."""

    wall: float
    cpu: float


def speech(folder: Path, minutes: float, number: int) -> Path:
    """A recording of real speech; no two numbers give the same bytes."""
    path = folder / f"{number}.flac"
    label = f"title={number}"
    source = SAMPLES / "monologue.wav"
    make("-stream_loop", "-1", "-i", source, "-t", str(minutes * 60), "-metadata", label, path)
    return path


def timed(client: Client, costs: Costs, file: Path) -> tuple[Run, Job]:
    """Have a recording transcribed, and see what it cost."""
    before, wall = costs.cpu(), time.perf_counter()
    job = transcribe(client, file)
    return Run(time.perf_counter() - wall, costs.cpu() - before), job


def measure(folder: Path, *, rounds: int, again: int, minutes: float) -> list[Result]:
    """Run the rounds; the figures go to standard output, the results are returned."""
    first: list[Run] = []
    repeats: list[Run] = []
    walls: list[float] = []
    cpus: list[float] = []
    with running({"SCRIBEWIRE_REUSE": "true"}) as platform, Client(Gateway(platform.url, platform.key)) as client:
        costs = Costs(platform)
        transcribe(client, speech(folder, 0.1, 0))  # the recogniser is warm from here on
        for number in range(1, rounds + 1):
            file = speech(folder, minutes, number)
            run, job = timed(client, costs, file)
            first.append(run)
            copies: list[Run] = []
            for _ in range(again):
                copy, same = timed(client, costs, file)
                if same["reused_from"] != job["id"] or same["words"] != job["words"]:
                    raise RuntimeError(f"not a copy: {same}")
                copies.append(copy)
            repeats += copies
            walls += [copy.wall / run.wall for copy in copies]
            cpus.append(statistics.mean(copy.cpu for copy in copies) / run.cpu)
            print(
                f"round {number}  first {run.wall:6.2f} s, {run.cpu:6.2f} CPU s  again"
                f" {statistics.median(copy.wall for copy in copies) * 1000:5.0f} ms,"
                f" {statistics.mean(copy.cpu for copy in copies) * 1000:5.0f} CPU ms",
                flush=True,
            )
    figures = (
        f"{statistics.median(run.wall for run in repeats) * 1000:.0f} ms against"
        f" {statistics.median(run.wall for run in first):.1f} s"
    )
    name = f"F5 the same {minutes:g} minutes again"
    return [
        result(f"{name}: seconds", "the first run", walls, aim=0.01, at_most=True, figures=figures),
        result(f"{name}: CPU seconds of all services", "the first run", cpus, aim=0.01, at_most=True, cpu=cpus),
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--again", type=int, default=10, help="times that each recording is sent once more")
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the recordings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), rounds=given.rounds, again=given.again, minutes=given.minutes)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

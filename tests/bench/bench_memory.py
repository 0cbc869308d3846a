"""Bench F3: whether cost follows the length of a recording, through the whole platform.

One recording of ten minutes and one of eight hours, from upload to the transcript read as JSON and as text, by a
provider that costs nothing and hears utterances of ten words. Peaks are each service process's own, counted anew for
each recording; CPU is that of all services with their children. Run by ``make bench``.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scribewire.client import Client
from scribewire.config import Gateway
from support.bench import Result, arguments, result, told
from support.costs import Costs
from support.paid_calls import Spoken, spoken
from support.paid_platform import paid_platform
from support.running import Running
from support.transcribing import tones, transcribe_all

SHORT = 10
AT_ONCE = 8
"""Short recordings that together have as many segments as a transcriber makes calls at once."""
WORDS = 10
"""Words of an utterance; a pause of 1.2 s follows."""
"""Minutes of the recording that the long one is compared with."""


@dataclass(frozen=True)
class Run:
    """What one recording cost: MiB of each service at most, CPU seconds per hour of audio, seconds of wall time."""

    peaks: dict[str, float]
    cpu: float
    wall: float


def utterances(sha256: str, seconds: float) -> Spoken:
    """What the provider hears: other words in other audio, ten at a time."""
    return [
        (word, start + at // WORDS * 1.2, end + at // WORDS * 1.2)
        for at, (word, start, end) in enumerate(spoken(sha256, seconds))
        if end + at // WORDS * 1.2 < seconds
    ]


def measure(platform: Running, files: Sequence[Path], costs: Costs, *, minutes: int) -> Run:
    """Send recordings of so many minutes together through the platform, all at once, and read their transcripts."""
    costs.forget_peaks()
    cpu, wall = costs.cpu(), time.perf_counter()
    jobs = transcribe_all(platform, files)
    with Client(Gateway(platform.url, platform.key)) as client:
        for job in jobs:
            for format_ in ("json", "txt"):
                client.transcript(str(job["id"]), format=format_)
    wall, cpu = time.perf_counter() - wall, costs.cpu() - cpu
    return Run(costs.peaks(), cpu / minutes * 60, wall)


def compare(platform: Running, folder: Path, *, hours: int) -> list[Result]:
    """The short recording once to warm up and once to measure, some of them at once, the long one; in this order."""
    short, long = tones(folder, SHORT), tones(folder, hours * 60)
    costs, runs = Costs(platform), {}
    for name, files, minutes in (
        ("warm-up", [short], SHORT),
        (f"{SHORT} min", [short], SHORT),
        (f"{AT_ONCE} times {SHORT} min", [short] * AT_ONCE, SHORT * AT_ONCE),
        (f"{hours} h", [long], hours * 60),
    ):
        runs[name] = run = measure(platform, files, costs, minutes=minutes)
        peaks = "  ".join(f"{service} {mib:.0f}" for service, mib in run.peaks.items())
        print(f"{name:15} {run.wall:6.1f} s  {run.cpu:6.2f} CPU s/h  MiB: {peaks}", flush=True)
    _, brief, several, full = runs.values()
    return [
        growth(hours, f"{SHORT} minutes", brief, full),
        growth(hours, f"{SHORT} minutes, {AT_ONCE} at once, with as many calls under way", several, full),
        result(
            f"F3 CPU of all services per hour of audio, {hours} h",
            f"{SHORT} minutes",
            [full.cpu / brief.cpu],
            aim=1.05,
            at_most=True,
            figures=f"{full.cpu:.2f} against {brief.cpu:.2f} CPU s per hour",
        ),
    ]


def growth(hours: int, peer: str, brief: Run, full: Run) -> Result:
    """The ratio of the service that grows most, with the figures of all."""
    ratios = {service: full.peaks[service] / brief.peaks[service] for service in brief.peaks}
    worst = max(ratios, key=ratios.__getitem__)
    return result(
        f"F3 peak memory for {hours} h of audio, the service that grows most",
        peer,
        [ratios[worst]],
        aim=1.2,
        at_most=True,
        figures=", ".join(f"{name} {brief.peaks[name]:.0f} to {full.peaks[name]:.0f} MiB" for name in ratios),
    )


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--hours", type=int, default=8, help="length of the long recording")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, paid_platform(words=utterances) as (platform, _):
        results = compare(platform, Path(folder), hours=given.hours)
    return told(given.output, results)


if __name__ == "__main__":
    sys.exit(main())

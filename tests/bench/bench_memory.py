"""Bench F3: whether cost follows the length of a recording, through the whole platform.

Recordings of ten minutes, two hours and eight hours, from upload to the transcript read as JSON and as text, by a
provider that costs nothing and hears utterances of ten words. Peaks are each service process's own, counted anew for
each recording; CPU is that of all services with their children. Run by ``make bench``.
"""

import sys
import tempfile
import time
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
"""Minutes of the recording that the long one is compared with."""
ENOUGH = 120
"""Minutes of one that has more segments than a transcriber makes calls at once: from there on nothing may grow."""
WORDS = 10
"""Words of an utterance; a pause of 1.2 s follows."""


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


def measure(platform: Running, file: Path, costs: Costs, *, minutes: int) -> Run:
    """Send a recording of so many minutes through the platform and read its transcript."""
    costs.forget_peaks()
    cpu, wall = costs.cpu(), time.perf_counter()
    [job] = transcribe_all(platform, [file])
    with Client(Gateway(platform.url, platform.key)) as client:
        for format_ in ("json", "txt"):
            client.transcript(str(job["id"]), format=format_)
    wall, cpu = time.perf_counter() - wall, costs.cpu() - cpu
    return Run(costs.peaks(), cpu / minutes * 60, wall)


def compare(platform: Running, folder: Path, *, hours: int) -> list[Result]:
    """The short recording once to warm up and once to measure, one that is long enough, the long one; in this order."""
    costs, runs = Costs(platform), list[Run]()
    for minutes in (SHORT, SHORT, ENOUGH, hours * 60):
        runs.append(run := measure(platform, tones(folder, minutes), costs, minutes=minutes))
        peaks = "  ".join(f"{service} {mib:.0f}" for service, mib in run.peaks.items())
        print(f"{minutes:4} min  {run.wall:6.1f} s  {run.cpu:6.2f} CPU s/h  MiB: {peaks}", flush=True)
    _, brief, enough, full = runs
    return [
        growth(hours, f"{SHORT} minutes", brief, full),
        growth(hours, f"{ENOUGH // 60} h", enough, full),
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

"""The file of bench results: ratios to a peer measured in the same run."""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One line of ``build/bench.json``: the median of the rounds' ratios, the lowest and highest, and the aim.

    ``name`` begins with the measure's code (A1, B2, ...). ``at_most`` says that the aim is an upper bound; ``cpu`` is
    the median ratio of CPU spent per unit, ours over the peer's, where both could be measured; ``figures`` are the
    medians behind the ratio, in words with their units.
    """

    name: str
    peer: str
    ratio: float
    low: float
    high: float
    aim: float
    met: bool
    at_most: bool = False
    cpu: float | None = None
    figures: str = ""

    def __str__(self) -> str:
        verdict = "met   " if self.met else "MISSED"
        bound = "≤" if self.at_most else "≥"
        cpu = "" if self.cpu is None else f", CPU {self.cpu:.2f}"
        figures = f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f}), aim {bound} {self.aim:g}{cpu}"
        return f"{verdict}  {self.name} / {self.peer}: {figures}"


def result(
    name: str,
    peer: str,
    ratios: Sequence[float],
    *,
    aim: float,
    at_most: bool = False,
    cpu: Sequence[float] = (),
    figures: str = "",
) -> Result:
    """Sum up the rounds; the aim is a lower bound unless ``at_most``; ``cpu`` are ratios of CPU per unit."""
    median = statistics.median(ratios)
    met = median <= aim if at_most else median >= aim
    return Result(
        name,
        peer,
        round(median, 3),
        round(min(ratios), 3),
        round(max(ratios), 3),
        aim,
        met,
        at_most,
        round(statistics.median(cpu), 3) if cpu else None,
        figures,
    )


def record(path: Path, results: Sequence[Result]) -> None:
    """Put results into a bench file, in place of earlier ones of the same name and peer."""
    known = json.loads(path.read_text()) if path.exists() else []
    fresh = {(one.name, one.peer) for one in results}
    kept = [one for one in known if (one["name"], one["peer"]) not in fresh]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *map(asdict, results)], indent=2) + "\n")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The command line of a bench; its sizes are its own to add."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    return parser


def told(path: Path, results: Sequence[Result]) -> int:
    """Print the results and put them into a bench file; the exit status: 1 when an aim was missed."""
    for one in results:
        print(one)
    record(path, results)
    return 0 if all(one.met for one in results) else 1

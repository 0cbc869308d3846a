"""The file of bench results: ratios to a peer measured in the same run."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One line of ``build/bench.json``: the median of the rounds' ratios, the lowest and highest, and the aim."""

    name: str
    peer: str
    ratio: float
    low: float
    high: float
    aim: float
    met: bool

    def __str__(self) -> str:
        verdict = "met   " if self.met else "MISSED"
        figures = f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f}), aim {self.aim}"
        return f"{verdict}  {self.name} / {self.peer}: {figures}"


def result(name: str, peer: str, ratios: Sequence[float], *, aim: float, at_most: bool = False) -> Result:
    """Sum up the rounds; the aim is a lower bound unless ``at_most``."""
    median = statistics.median(ratios)
    met = median <= aim if at_most else median >= aim
    return Result(name, peer, round(median, 3), round(min(ratios), 3), round(max(ratios), 3), aim, met)


def record(path: Path, results: Sequence[Result]) -> None:
    """Put results into a bench file, in place of earlier ones of the same name and peer."""
    known = json.loads(path.read_text()) if path.exists() else []
    fresh = {(one.name, one.peer) for one in results}
    kept = [one for one in known if (one["name"], one["peer"]) not in fresh]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *map(asdict, results)], indent=2) + "\n")

"""The file of fault runs: for each promise of docs/reliability.md, what was done to the platform and what was found."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

FULL = os.environ.get("SCRIBEWIRE_FAULTS") == "full"
"""Whether scenarios run at the sizes of the promises (``make faults``), or at the small ones of ``make test``."""

SEED = int(os.environ.get("SCRIBEWIRE_FAULTS_SEED", "7"))
"""Where every scenario's chance begins."""

REPORT = Path("build/faults.json" if FULL else "build/faults-small.json")


@dataclass
class Tally:
    """What one scenario saw; ``promise`` and ``scenario`` name it.

    ``faults`` counts what was done to the platform, ``redelivered`` the events that came again because of it; ``lost``,
    ``duplicated`` and ``paid_twice`` what a checker derived from the history. ``paid_twice`` counts all calls that were
    paid again, also those that the promise allows because their payer died in mid-call; the scenario asserts that there
    are no others. ``figures`` are the scenario's own (jobs, seconds, percentiles), for the page.
    """

    promise: str
    scenario: str
    faults: int = 0
    redelivered: int = 0
    lost: int = 0
    duplicated: int = 0
    paid_twice: int = 0
    passed: bool = False
    figures: dict[str, float | int | str] = field(default_factory=dict)


@contextmanager
def scenario(promise: str, name: str, *, path: Path | None = None) -> Iterator[Tally]:
    """Run a scenario inside the block and write down what it tallied, passed or not.

    A run in which nothing was done to the platform proves nothing, so it does not pass.
    """
    tally = Tally(promise, name)
    began = time.monotonic()
    try:
        yield tally
        assert tally.faults, f"{promise} {name}: no fault happened, so the run proves nothing"
        tally.passed = True
    finally:
        tally.figures["seconds"] = round(time.monotonic() - began, 1)
        record(path or REPORT, tally)
        print(f"{promise} {name}: {described(tally)}", flush=True)


def described(tally: Tally) -> str:
    """A scenario's figures as a line for people."""
    own = ", ".join(f"{name} {value}" for name, value in tally.figures.items())
    return (
        f"{'passed' if tally.passed else 'FAILED'}; faults {tally.faults}, redelivered {tally.redelivered}, "
        f"lost {tally.lost}, duplicated {tally.duplicated}, paid twice {tally.paid_twice}; {own}"
    )


def record(path: Path, tally: Tally) -> None:
    """Put a scenario into the file, in place of its earlier run."""
    known: list[Mapping[str, object]] = json.loads(path.read_text()) if path.exists() else []
    kept = [one for one in known if (one["promise"], one["scenario"]) != (tally.promise, tally.scenario)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, asdict(tally)], indent=2) + "\n")

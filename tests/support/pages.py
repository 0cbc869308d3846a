"""Writes docs/reliability.md and docs/performance.md from what the last `make faults` and `make bench` found."""

import json
import os
import platform
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.bench import Result
from support.promises import Tally

ROOT = Path(__file__).parents[2]

_RELIABILITY = """\
# Reliability: what is promised, and how it is proven

Made by `make faults` (all scenarios at full size; `make faults ARGS='-k r2'` runs those whose name has it) from
`tests/faults/promises.toml` and `build/faults.json`; `make test` runs every scenario at a small size. A scenario writes
down what clients, engines, webhook receivers and topics saw; a checker (`tests/support/history.py`) derives from that
what was lost, doubled or paid twice. *Paid twice* counts every call an engine got again, also those the promise allows
because their payer was killed in mid-call; a scenario fails on any other."""
_SCENARIOS = (
    "| scenario | faults | redelivered | lost | duplicated | paid twice | passed | figures |",
    "|---|---|---|---|---|---|---|---|",
)
_PERFORMANCE = """\
# Performance: what was measured, and beside whom

Made by `make bench` from `build/bench.json`; one bench alone: `PYTHONPATH=tests .venv/bin/python
tests/bench/bench_bus.py`. Ours and the peer take turns (A B A B) in one run on one machine; a ratio is of one round, so
that a slow moment falls on both. Given are the median of the rounds' ratios and their range; *CPU* is the ratio of CPU
time spent per unit, ours over the peer's."""
_BENCHES = (
    "| what | beside | ratio | range | CPU | aim | met | figures |",
    "|---|---|---|---|---|---|---|---|",
)


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.system()}, CPython {platform.python_version()}"


def reliability(promises: Mapping[str, Mapping[str, str]], tallies: Sequence[Tally], where: str) -> str:
    """The page of promises: each with its mechanism, its proof and the figures of its scenarios."""
    lines = [*_RELIABILITY.splitlines(), "", f"Last figures: {where}."]
    for code, text in promises.items():
        lines += ["", f"## {code}: {text['promise']}", ""]
        lines += [f"*How:* {text['mechanism']}", "", f"*Proof:* {text['proof']}", ""]
        own = [one for one in tallies if one.promise == code]
        if not own:
            lines.append("Not run yet.")
            continue
        lines += _SCENARIOS
        lines += [_scenario(one) for one in sorted(own, key=lambda one: one.scenario)]
    return "\n".join(lines) + "\n"


def only_small(full: Sequence[Tally], small: Sequence[Tally]) -> list[Tally]:
    """The small runs of promises that were not run at full size, named so."""
    run = {one.promise for one in full}
    return [replace(one, scenario=f"{one.scenario} (small size)") for one in small if one.promise not in run]


def performance(results: Sequence[Result], reasons: Mapping[str, str], where: str) -> str:
    """The page of benches: one row an aim, then why an aim was missed, by how the rows' names begin."""
    lines = [*_PERFORMANCE.splitlines(), "", f"Last figures: {where}.", "", *_BENCHES]
    lines += [_bench(one) for one in sorted(results, key=lambda one: (one.name, one.peer))]
    missed = {one.name for one in results if not one.met}
    if told := [f"- **{name}**: {_reason(name, reasons)}" for name in sorted(missed)]:
        lines += ["", "## Aims not met, and why", "", *told]
    return "\n".join(lines) + "\n"


def _reason(name: str, reasons: Mapping[str, str]) -> str:
    fitting = [key for key in reasons if name.startswith(key)]
    return reasons[max(fitting, key=len)] if fitting else "no reason is known yet."


def _scenario(one: Tally) -> str:
    own = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one.figures.items())
    counts = f"{one.faults} | {one.redelivered} | {one.lost} | {one.duplicated} | {one.paid_twice}"
    return f"| {one.scenario} | {counts} | {'yes' if one.passed else '**no**'} | {own} |"


def _bench(one: Result) -> str:
    aim = f"{'≤' if one.at_most else '≥'} {one.aim:g}"
    cpu = "" if one.cpu is None else f"{one.cpu:.2f}"
    met = "yes" if one.met else "**no**"
    return (
        f"| {one.name} | {one.peer} | {one.ratio:.3g} | {one.low:.3g}–{one.high:.3g} | {cpu} | {aim} | {met} "
        f"| {one.figures} |"
    )


def _known(path: Path) -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return known


def main() -> None:
    """Write the page named by the argument."""
    page = sys.argv[1]
    if page == "reliability":
        promises = tomllib.loads((ROOT / "tests/faults/promises.toml").read_text())
        tallies = [Tally(**one) for one in _known(ROOT / "build/faults.json")]
        small = [Tally(**one) for one in _known(ROOT / "build/faults-small.json")]
        text = reliability(promises, [*tallies, *only_small(tallies, small)], machine())
    else:
        reasons = tomllib.loads((ROOT / "tests/bench/reasons.toml").read_text())
        text = performance([Result(**one) for one in _known(ROOT / "build/bench.json")], reasons, machine())
    (ROOT / f"docs/{page}.md").write_text(text)


if __name__ == "__main__":
    main()

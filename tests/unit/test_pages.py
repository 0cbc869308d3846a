"""The pages made of fault runs and benches say what was found, and every promise has a scenario that proves it."""

import re
import tomllib
from pathlib import Path

from support.bench import result
from support.pages import only_small, performance, reliability
from support.promises import Tally

FAULTS = Path(__file__).parents[1] / "faults"
PROMISES = {"R1": {"promise": "Nothing is lost.", "mechanism": "Acknowledged.", "proof": "Killed."}}


def test_a_promise_shows_its_scenarios_and_a_failed_one_stands_out():
    tallies = [Tally("R1", "killed", faults=3, lost=1), Tally("R1", "asked", faults=1, passed=True)]
    page = reliability(PROMISES, tallies, "2 cores")
    assert "## R1: Nothing is lost." in page
    assert page.index("| asked | 1 | 0 | 0 | 0 | 0 | yes |") < page.index("| killed | 3 | 0 | 1 | 0 | 0 | **no** |")


def test_a_promise_without_a_run_says_so():
    assert "Not run yet." in reliability(PROMISES, [], "2 cores")


def test_a_small_run_stands_in_for_a_full_one_and_says_so():
    full, small = [Tally("R1", "killed")], [Tally("R1", "killed"), Tally("R2", "rolled", faults=2)]
    assert [one.scenario for one in only_small(full, small)] == ["rolled (small size)"]


def test_a_missed_aim_comes_with_its_reason():
    met = result("A1 events", "bare", [1.0, 1.2, 1.1], aim=0.8, cpu=[0.9])
    missed = result("B1 upload", "nginx", [0.3], aim=0.4)
    page = performance([missed, met], {"B1": "it fsyncs."}, "2 cores")
    assert page.index("| A1 events | bare | 1.1 | 1–1.2 | 0.90 | ≥ 0.8 | yes |") < page.index("| B1 upload | nginx |")
    assert "- **B1 upload**: it fsyncs." in page


def test_every_promise_on_the_page_has_a_scenario():
    promised = set(tomllib.loads((FAULTS / "promises.toml").read_text()))
    proven = {
        code
        for file in FAULTS.glob("test_*.py")
        for code in re.findall(r"scenario\(\s*\"([RS]\d+)\"", file.read_text())
    }
    assert promised == proven

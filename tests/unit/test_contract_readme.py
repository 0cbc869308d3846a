"""docs/events/README.md names topics that exist, with the keys and the clean-up they have."""

import re
from pathlib import Path

from common import topics

README = Path(__file__).parents[2] / "docs/events/README.md"


def test_the_table_of_topics_is_true() -> None:
    specs = {spec.name: spec for spec in topics.specs()}
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| [^|]+ \| ([^|]+) \|$", README.read_text(), re.MULTILINE)
    assert len(rows) == 6
    for names, kept in rows:
        for name in re.findall(r"`([^`]+)`", names):
            config = specs[name].config
            if config["cleanup.policy"] == "compact":
                assert kept == "the last per key, for good"
            else:
                days = int(config["retention.ms"]) // 86_400_000
                assert kept == f"{days} day{'s' if days > 1 else ''}", name


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target

"""W3C trace context."""

import re

import pytest

from common.bus.trace import child

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_child_stays_in_the_trace_with_a_span_of_its_own() -> None:
    first, second = child(PARENT), child(PARENT)
    for made in (first, second):
        assert re.fullmatch(rb"00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01", made)
    assert len({PARENT, first, second}) == 3


@pytest.mark.parametrize(
    "parent", [None, b"", b"nonsense", PARENT + b"0", PARENT.upper(), b"00-" + b"0" * 32 + PARENT[35:], b"\xff" * 55]
)
def test_without_a_valid_parent_a_trace_begins(parent: bytes | None) -> None:
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", child(parent))
    assert child(parent)[3:35] != child(parent)[3:35]

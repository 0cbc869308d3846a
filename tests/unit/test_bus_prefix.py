"""The finished prefix of a partition, whatever the order in which its records finish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.prefix import Mark, Prefix


@given(
    offsets=st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=60).map(sorted),
    data=st.data(),
)
def test_end_is_behind_the_last_record_before_the_first_unfinished(offsets: list[int], data: st.DataObject) -> None:
    """Against the definition, after every single step, with takes and finishes in any order."""
    prefix: Prefix[Mark] = Prefix()
    marks: list[Mark] = []
    waiting = list(offsets)
    while waiting or not all(mark.finished for mark in marks):
        unfinished = [mark for mark in marks if not mark.finished]
        if waiting and (not unfinished or data.draw(st.booleans())):
            mark = Mark(waiting.pop(0))
            prefix.take(mark)
            marks.append(mark)
        else:
            data.draw(st.sampled_from(unfinished)).finished = True
        expected = None
        for mark in marks:
            if not mark.finished:
                break
            expected = mark.offset + 1
        assert prefix.advance() == expected
        assert len(prefix) == sum(1 for mark in marks if expected is None or mark.offset >= expected)
    assert prefix.end == offsets[-1] + 1


def test_an_offset_taken_twice_is_refused() -> None:
    prefix: Prefix[Mark] = Prefix()
    prefix.take(Mark(5))
    with pytest.raises(ValueError, match="offset 5 was taken after 5"):
        prefix.take(Mark(5))

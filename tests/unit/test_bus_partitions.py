"""Which partition a key belongs to: the same one always, and a recording's segments evenly over all of them."""

from collections import Counter
from uuid import UUID
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.producer import partition_of
from common.events import SegmentReady
from support.event_samples import SAMPLES

READY = next(event for event in SAMPLES if isinstance(event, SegmentReady))


@given(job=st.uuids(), count=st.integers(1, 200), partitions=st.integers(1, 12))
def test_segments_of_a_recording_take_the_partitions_in_turn(job: UUID, count: int, partitions: int):
    there = list(range(partitions))
    keys = [READY.model_copy(update={"job_id": job, "index": n, "count": count}).key.encode() for n in range(count)]
    taken = Counter(partition_of(key, there, there) for key in keys)
    assert max(taken.values()) - min(taken[one] for one in there) <= 1


@given(key=st.binary(min_size=1))
def test_a_key_has_one_partition(key: bytes):
    there = list(range(6))
    assert partition_of(key, there, there) == partition_of(key, there, []) in there


@pytest.mark.parametrize("key", [b"#", b"job#", b"job#x", b"job#-1", b"job/de", b"job#" + b"9" * 5000])
def test_only_a_number_after_the_sign_is_a_turn(key: bytes):
    there = list(range(6))
    assert partition_of(key, there, there) == crc32(key) % 6

"""Buckets in memory beside the plainest model of one, and what they hold at most."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.walls.floods import Buckets


class Model:
    """A bucket as a child would keep it: a number of tokens, and when they were counted."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second, self.burst = per_second, burst
        self.tokens, self.at = burst, 0.0

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_second)
        self.at = now
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


@given(
    per_second=st.sampled_from([0.25, 1.0, 4.0, 128.0]),
    burst=st.sampled_from([1, 2, 16, 100]),
    pauses=st.lists(st.integers(0, 4096), max_size=300),
)
def test_it_lets_through_what_the_model_does(per_second: float, burst: int, pauses: Sequence[int]) -> None:
    now = 0.0
    buckets, model = Buckets(per_second, burst, clock=lambda: now), Model(per_second, burst)
    for pause in pauses:
        now += pause / 1024  # in powers of two, so that both reckon without rounding
        assert (buckets.take("a") == 0) == model.take(now)


@given(st.sampled_from([0.25, 1.0, 4.0, 128.0]), st.sampled_from([1, 2, 16]))
def test_after_the_wait_it_names_there_is_one(per_second: float, burst: int) -> None:
    now = 1000.0
    buckets = Buckets(per_second, burst, clock=lambda: now)
    assert [buckets.take("a") for _ in range(burst)] == [0.0] * burst
    wait = buckets.take("a")
    assert wait == 1 / per_second
    now += wait * 0.999
    assert buckets.take("a") > 0
    now = 1000.0 + wait
    assert buckets.take("a") == 0


def test_each_has_a_bucket_of_its_own_and_a_million_strangers_take_no_room() -> None:
    buckets = Buckets(1, 2, most=1000, clock=lambda: 0.0)
    assert [buckets.take("a") > 0 for _ in range(3)] == [False, False, True]
    assert buckets.take("b") == 0
    for stranger in range(10_000):
        buckets.take(stranger)
    assert len(buckets) == 1000

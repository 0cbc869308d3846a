"""Time stamps become silence: what was late or paused is, what was out of order or out of its mind is not."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from transcoder.worker.timeline import Timeline

RATE = 16_000
MS = Fraction(1, 1000)


def gaps(stamps: list[int | None], *, samples: int = 1600, restarts: bool = False, start: int = 0) -> list[float]:
    """Seconds of silence before each frame of 100 ms, for stamps in ms."""
    line = Timeline(start=Fraction(start, 1000), restarts=restarts, rate=RATE, unit=MS)
    return [line.gap(stamp, samples) / RATE for stamp in stamps]


def test_a_late_start_and_a_gap_become_silence() -> None:
    assert gaps([3000, 3100, 5200, None]) == [3.0, 0.0, 2.0, 0.0]


def test_the_start_of_the_recording_is_no_lateness() -> None:
    assert gaps([1400, 1500], start=1400) == [0.0, 0.0]


def test_rounding_is_no_gap() -> None:
    assert gaps([0, 101, 199, 330, 420]) == [0.0] * 5


def test_small_delays_that_add_up_are_a_gap() -> None:
    assert sum(gaps([0, 160, 320, 480])) > 0


def test_times_that_run_backwards_go_on_from_the_frame_before() -> None:
    assert gaps([0, 100, 0, 100, 400]) == [0.0] * 5


def test_a_wrong_clock_is_no_pause() -> None:
    assert gaps([0, 700_000, 700_100]) == [0.0] * 3
    assert gaps([0, 500_000]) == [0.0, 499.9]


def test_a_clock_that_starts_anew_keeps_its_later_gaps() -> None:
    assert gaps([90_000, 90_100, 0, 100, 2200], start=90_000, restarts=True) == [0.0, 0.0, 0.0, 0.0, 2.0]


def test_a_change_of_rate_goes_on_in_time() -> None:
    line = Timeline(start=Fraction(0), restarts=False, rate=RATE, unit=MS)
    line.gap(0, RATE)
    assert line.at_rate(48_000).gap(3000, 4800) == 2 * 48_000


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=50), st.booleans())
def test_no_stamp_makes_more_silence_than_the_longest_leap(stamps: list[int | None], restarts: bool) -> None:
    made = gaps(stamps, restarts=restarts)
    assert all(0 <= gap <= 601 for gap in made)

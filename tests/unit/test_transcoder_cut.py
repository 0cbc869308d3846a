"""The cutter: nothing is lost, nothing is too long, and pauses are preferred to words."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcoder.cut import FRAME, Cutter
from transcoder.ports import RATE, SAMPLE_BYTES


def loud(seconds: float) -> bytes:
    period = [*range(-8000, 8000, 400), *range(8000, -8000, -400)]
    count = int(seconds * RATE)
    return array("h", (period * (count // len(period) + 1))[:count]).tobytes()


def quiet(seconds: float) -> bytes:
    return bytes(int(seconds * RATE) * SAMPLE_BYTES)


def pieces(audio: bytes, max_seconds: float | None, chunk: int = 65_536) -> list[bytes]:
    cutter = Cutter(max_seconds)
    done, growing = [], b""
    fed = [part for at in range(0, len(audio), chunk) for part in cutter.feed(audio[at : at + chunk])]
    for part, cut_follows in [*fed, *cutter.finish()]:
        growing += part
        if cut_follows:
            done.append(growing)
            growing = b""
    assert growing == b""
    return done


def seconds(parts: list[bytes]) -> list[float]:
    return [len(part) / SAMPLE_BYTES / RATE for part in parts]


stretches = st.lists(st.tuples(st.booleans(), st.integers(0, 3 * RATE)), min_size=1, max_size=12)


def sounding(parts: list[tuple[bool, int]]) -> bytes:
    return b"".join(loud(n / RATE) if noisy else quiet(n / RATE) for noisy, n in parts)


@settings(max_examples=60, deadline=None)
@given(stretches, st.floats(1.01, 8.0), st.integers(1, 50_000))
def test_pieces_are_the_audio_in_order_and_none_is_too_long_or_too_short(
    parts: list[tuple[bool, int]], max_seconds: float, chunk: int
) -> None:
    audio = sounding(parts)
    cut = pieces(audio, max_seconds, max(chunk, 500))
    assert b"".join(cut) == audio
    assert all(length <= max_seconds for length in seconds(cut))
    shortest = min(1.0, max_seconds / 3) - FRAME / RATE
    assert len(cut) <= 1 or all(length >= shortest for length in seconds(cut))


@settings(max_examples=25, deadline=None)
@given(stretches, st.integers(301, 40_001), st.integers(301, 40_001))
def test_how_the_audio_is_chunked_does_not_change_the_cuts(parts: list[tuple[bool, int]], one: int, other: int) -> None:
    audio = sounding(parts)
    assert pieces(audio, 3.0, one) == pieces(audio, 3.0, other)


@settings(max_examples=25, deadline=None)
@given(stretches)
def test_without_a_limit_there_is_one_piece(parts: list[tuple[bool, int]]) -> None:
    audio = sounding(parts)
    assert pieces(audio, None) == ([audio] if audio else [])


def test_without_a_limit_nothing_is_held() -> None:
    cutter = Cutter(None)
    assert list(cutter.feed(loud(2))) == [(loud(2), False)]
    assert list(cutter.finish()) == [(b"", True)]


def test_the_longest_pause_in_the_last_third_is_cut_in_its_middle() -> None:
    audio = loud(2) + quiet(1.5) + loud(4) + quiet(0.2) + loud(0.3) + quiet(0.6) + loud(5)
    first = seconds(pieces(audio, 10))[0]
    assert first == pytest.approx(8.3, abs=0.03)


def test_a_pause_before_the_last_third_is_better_than_a_word() -> None:
    audio = loud(2) + quiet(0.2) + loud(12)
    assert seconds(pieces(audio, 10))[0] == pytest.approx(2.1, abs=0.03)


def test_no_word_is_cut_while_every_window_has_a_pause() -> None:
    spoken = b"".join(loud(0.3 + 0.1 * (n % 9)) + quiet(0.18) for n in range(60))
    for part in pieces(spoken, 5)[:-1]:
        assert part.endswith(quiet(0.05))


def test_gaps_inside_a_word_are_no_pauses() -> None:
    word = loud(0.3) + quiet(0.1)
    audio = word * 10 + quiet(0.3) + word * 20
    assert seconds(pieces(audio, 8))[0] == pytest.approx(4.1, abs=0.03)


def test_pauses_are_found_above_steady_noise() -> None:
    hiss = array("h", [600, -600] * (RATE // 2)).tobytes()
    audio = loud(6) + hiss[: len(hiss) // 2] + loud(6)
    assert seconds(pieces(audio, 8))[0] == pytest.approx(6.25, abs=0.05)


def test_unbroken_sound_is_cut_all_the_same() -> None:
    assert len(pieces(loud(25), 10)) >= 3


def test_audio_a_little_longer_than_the_limit_leaves_no_scrap() -> None:
    assert min(seconds(pieces(loud(10.1), 10))) >= 1

"""Times stay those of the recording, whatever was left out of it."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.places import audio_seconds, heard_at
from common.plugins import Audio
from transcoder.passages import MOST_PARTS, Passages
from transcoder.places import Places

RATE = 16_000


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1), st.data())
def test_every_moment_of_a_segment_has_its_place_in_the_recording(
    kept: Sequence[tuple[int, int]], data: st.DataObject
) -> None:
    """What is left out and what is kept take turns, in tenths of a second."""
    tenth = RATE * 2 // 10
    places, truth, heard = Places(), list[int](), 0
    for left_out, length in kept:
        heard += left_out
        places.add(len(truth) * tenth, heard * tenth)
        truth += range(heard, heard + length)
        heard += length
    begin = data.draw(st.integers(0, len(truth) - 1))
    end = data.draw(st.integers(begin + 1, len(truth)))
    start, stop = places.start(begin * tenth), places.end(end * tenth)
    told = places.between(begin * tenth, end * tenth)
    assert start == pytest.approx(truth[begin] / 10)
    assert stop == pytest.approx((truth[end - 1] + 1) / 10)
    assert audio_seconds(start, stop, told) == pytest.approx((end - begin) / 10, abs=0.002)
    for at in range(begin, end):
        seconds = (at - begin) / 10
        assert heard_at(seconds, start, told) == pytest.approx(truth[at] / 10, abs=0.002)
        assert heard_at(seconds + 0.05, start, told) == pytest.approx(truth[at] / 10 + 0.05, abs=0.002)
        assert heard_at(seconds + 0.1, start, told, ending=True) == pytest.approx(truth[at] / 10 + 0.1, abs=0.002)


class Keeps:
    """In place of plug-ins: keeps stretches of each passage."""

    def __init__(self, *stretches: tuple[int, int]) -> None:
        self._stretches = stretches

    async def pre_process(self, passage: Audio) -> list[Audio]:
        return [passage.part(begin, end) for begin, end in self._stretches]

    async def outcome(self) -> None:
        return None


async def kept(pcm: bytes, *stretches: tuple[int, int]) -> tuple[bytes, Passages]:
    passages = Passages(Keeps(*stretches))  # type: ignore[arg-type]
    out = [piece async for piece in passages.feed(pcm)] + [piece async for piece in passages.finish()]
    return b"".join(out), passages


def noise(seconds: int) -> bytes:
    return bytes(range(1, 251)) * (seconds * RATE * 2 // 250)


def test_of_a_recording_of_which_nothing_is_kept_its_first_second_stays() -> None:
    pcm = noise(3)
    out, passages = asyncio.run(kept(pcm))
    assert out == pcm[: RATE * 2]
    assert passages.places.between(0, len(out)) == ()
    assert passages.seconds == 3


def test_the_shortest_of_too_many_gaps_are_filled_with_silence() -> None:
    parts = 3 * MOST_PARTS
    step = RATE // 10
    stretches = [(at * step, (at + 1) * step - (100 if at % 3 == 2 else 10)) for at in range(parts)]
    pcm = noise(parts // 10)
    out, passages = asyncio.run(kept(pcm, *stretches))
    places = passages.places.between(0, len(out))
    assert len(places) == MOST_PARTS - 1
    assert [heard for _, heard in places] == [pytest.approx((at + 1) / 10) for at in range(2, parts - 1, 3)]
    first = out[: 2 * (3 * step - 100)]
    assert first[2 * (step - 10) : 2 * step] == bytes(20)
    assert first[2 * step : 4 * step - 20] == pcm[2 * step : 4 * step - 20]


def test_passages_are_bounded_and_together_the_recording() -> None:
    seen: list[Audio] = []

    class Looks(Keeps):
        async def pre_process(self, passage: Audio) -> list[Audio]:
            seen.append(passage)
            return [passage]

    pcm = noise(150)

    async def run() -> bytes:
        passages = Passages(Looks())  # type: ignore[arg-type]
        out = b""
        for at in range(0, len(pcm), 99_999):
            out += b"".join([piece async for piece in passages.feed(pcm[at : at + 99_999])])
        return out + b"".join([piece async for piece in passages.finish()])

    assert asyncio.run(run()) == pcm
    assert max(passage.seconds for passage in seen) <= 60
    assert [passage.at for passage in seen[1:]] == [passage.at + passage.samples for passage in seen[:-1]]

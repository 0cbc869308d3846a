"""A manifest is cut into the same lines however the network cuts it."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.lines import LONGEST_LINE, Line, Lines
from gateway.problems import Problem


def cut(body: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in pairwise(marks)]


def read(pieces: list[bytes]) -> tuple[list[tuple[Line, str]], str]:
    lines = Lines()
    found = [(line, lines.digest) for piece in pieces for line in lines.feed(piece)]
    found += [(line, lines.digest) for line in lines.end()]
    return found, lines.digest


BODIES = st.binary(max_size=300) | st.lists(
    st.sampled_from([b"{}", b"\n", b"\r\n", b"\xef\xbb\xbf", b" ", b"x" * 9000, b"\r", b"\xff\xfe", b'"'])
).map(b"".join)


@given(BODIES, st.lists(st.integers(0, 10**6), max_size=12))
def test_any_cut_gives_the_same_lines_and_hashes(body: bytes, places: list[int]) -> None:
    try:
        whole = read([body])
    except Problem:
        with pytest.raises(Problem):
            read(cut(body, places))
        return
    assert read(cut(body, places)) == whole
    assert whole[1] == sha256(body).hexdigest()


@given(BODIES)
def test_the_lines_are_those_of_the_body(body: bytes) -> None:
    plain = body.split(b"\n")
    if plain[0].startswith((b"\xff\xfe", b"\xfe\xff")) and len(plain[0]) <= LONGEST_LINE:
        return
    expected = []
    for number, raw in enumerate(plain, start=1):
        kept = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 and len(raw) <= LONGEST_LINE else raw
        if len(raw) > LONGEST_LINE:
            expected.append(Line(number, None))
        elif kept.strip():
            expected.append(Line(number, kept.removesuffix(b"\r")))
    assert [line for line, _ in read([body])[0]] == expected


def test_a_hash_belongs_to_the_body_up_to_its_line() -> None:
    found, _ = read([b"a\r\nb\n\nc"])
    assert [digest for _, digest in found] == [
        sha256(part).hexdigest() for part in (b"a\r\n", b"a\r\nb\n", b"a\r\nb\n\nc")
    ]


def test_a_line_that_is_too_long_is_not_held() -> None:
    lines = Lines()
    assert not [line for _ in range(1000) for line in lines.feed(b"x" * 1000)]
    assert len(lines._held) == 0
    assert [line.number for line in lines.feed(b"\nnext\n")] == [1, 2]


def test_utf_16_is_refused() -> None:
    with pytest.raises(Problem, match="UTF-8"):
        list(Lines().feed('{"url": "https://example.com"}\n'.encode("utf-16")))

"""A body is read the same however the network cuts it."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from common.options import JobOptions
from gateway.form import LONGEST_BOUNDARY, LONGEST_FIELD, LONGEST_START, FileHead, FormField, Piece, pieces
from gateway.intake import Intake
from gateway.problems import Problem

NASTY = b"\r\n--frontie\r\r\n--\r\n-"
FORM = (
    b"preamble\r\n--frontier\r\n"
    b'Content-Disposition: form-data; name="priority"\r\n\r\nbulk\r\n--frontier\r\n'
    b'content-disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    + NASTY
    * 3
    + b"\r\n--frontier\r\n"
    b'Content-Disposition: form-data; name="language"\r\n\r\nen-GB\r\n--frontier--\r\nepilogue'
)


def request_of(chunks: list[bytes], kind: str, **headers: str) -> web.Request:
    """Something that streams its body in just these chunks, which a real connection cannot promise."""

    async def iter_any() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    content = SimpleNamespace(iter_any=iter_any)
    return cast("web.Request", SimpleNamespace(headers={"Content-Type": kind} | headers, content=content))


async def read(
    chunks: list[bytes], kind: str = "multipart/form-data; boundary=frontier", **headers: str
) -> list[Piece]:
    return [piece async for piece in pieces(request_of(chunks, kind, **headers), stall=1.0, limit=1_000_000)]


def cut(body: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(body)]
    return [body[start:end] for start, end in pairwise(edges) if end > start]


@given(st.lists(st.integers(min_value=0, max_value=len(FORM)), max_size=40))
def test_any_cut_of_a_form_gives_the_same_pieces(at: list[int]) -> None:
    found = asyncio.run(read(cut(FORM, at)))
    assert [piece for piece in found if not isinstance(piece, bytes)] == [
        FormField("priority", "bulk"),
        FileHead("a.wav", "audio/wav"),
        FormField("language", "en-GB"),
    ]
    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == NASTY * 3


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=400))
def test_intake_counts_and_hashes_what_it_hands_on(chunks: list[bytes]) -> None:
    async def take() -> tuple[Intake, bytes]:
        body = pieces(request_of([b"x", *chunks], "audio/wav"), stall=1.0, limit=100_000)
        intake = Intake(body, fields=[("priority", "bulk")], limit=100_000)
        return intake, b"".join([piece async for piece in intake.content()])

    import hashlib

    intake, body = asyncio.run(take())
    assert body == b"x" + b"".join(chunks)
    assert intake.size == len(body)
    assert intake.sha256 == hashlib.sha256(body).hexdigest()
    assert intake.options == JobOptions(priority="bulk")


@pytest.mark.parametrize("end", range(0, len(FORM) - len(b"--\r\nepilogue"), 7))
async def test_a_form_cut_short_is_never_taken_for_whole(end: int) -> None:
    with pytest.raises(Problem) as caught:
        await read([FORM[:end]])
    assert caught.value.kind.status == 400


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="a.wav"', "a.wav"),
        ("form-data; name=file; filename=a.wav", "a.wav"),
        ("form-data; name=\"file\"; filename*=UTF-8''%C3%9Cber.wav", "Über.wav"),
        ('form-data; name="file"; filename="U.wav"; filename*=utf-8\'de\'%C3%9Cber.wav', "Über.wav"),
        ('form-data; name="file"', None),
    ],
)
async def test_the_name_of_a_file_in_a_form(disposition: str, name: str | None) -> None:
    body = f"--frontier\r\nContent-Disposition: {disposition}\r\n\r\nsound\r\n--frontier--".encode()
    assert await read([body]) == [FileHead(name, None), b"sound"]


@pytest.mark.parametrize("junk", [b"x", b"\r", b"\r\n", b"\r\n--frontie", b"-"])
async def test_junk_before_the_first_part_has_an_end(junk: bytes) -> None:
    allowed = [junk * (4096 // len(junk))] * (LONGEST_START // 4096)
    with pytest.raises(Problem, match=r"ended|Unexpected"):
        await read(allowed)
    with pytest.raises(Problem, match="No part begins") as caught:
        await read([*allowed, junk * 100])
    assert caught.value.kind.status == 400


async def test_a_boundary_is_no_longer_than_it_may_be() -> None:
    body = b"--%b\r\nContent-Disposition: form-data; name=file\r\n\r\nsound\r\n--%b--"
    longest = b"x" * LONGEST_BOUNDARY
    assert await read([body % (longest, longest)], f"multipart/form-data; boundary={longest.decode()}")
    with pytest.raises(Problem, match="at most 70"):
        await read([body % (longest + b"x", longest + b"x")], f"multipart/form-data; boundary={longest.decode()}x")


async def test_a_field_that_dribbles_in_is_measured_as_any_other() -> None:
    head = b'--frontier\r\nContent-Disposition: form-data; name="language"\r\n\r\n'
    dribble = [b"x"] * (LONGEST_FIELD + 1)
    with pytest.raises(Problem, match="too long"):
        await read([head, *dribble])


async def test_fields_have_a_bound_together() -> None:
    part = b'--frontier\r\nContent-Disposition: form-data; name="keyterms"\r\n\r\n' + b"x" * LONGEST_FIELD + b"\r\n"
    assert len(await read([part * 4, b"--frontier--"])) == 4
    with pytest.raises(Problem, match="too long"):
        await read([part * 5, b"--frontier--"])


async def test_a_raw_body_has_its_name_percent_encoded() -> None:
    head, *_ = cast("list[Any]", await read([b"sound"], "audio/wav; x=y", **{"X-Filename": "%C3%9Cber%20uns.wav"}))
    assert head == FileHead("Über uns.wav", "audio/wav")

"""Damaged multipart bodies are read or refused as the client's mistake, never the gateway's."""

import asyncio
import random
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from gateway.form import pieces
from gateway.problems import Problem

FORM = (
    b"--frontier\r\n"
    b'Content-Disposition: form-data; name="priority"\r\n\r\nbulk\r\n--frontier\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a.wav"; filename*=utf-8\'\'%C3%9C.wav\r\n'
    b"Content-Type: audio/wav\r\n\r\n" + bytes(range(256)) * 4 + b"\r\n--frontier\r\n"
    b'Content-Disposition: form-data; name="language"\r\n\r\nen-GB\r\n--frontier--\r\n'
)
KIND = "multipart/form-data; boundary=frontier"
KINDS = (KIND, "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="a\\"b',
         f"multipart/form-data; boundary={'x' * 5000}", "multipart/form-data; boundary=\x7f", ";;;=", "")  # fmt: skip
LIMIT = 100_000


async def outcome(body: bytes, kind: str, chance: random.Random) -> int:
    async def iter_any() -> AsyncIterator[bytes]:
        rest = body
        while rest:
            size = chance.choice((1, 7, 100, 5000))
            yield rest[:size]
            rest = rest[size:]

    request = SimpleNamespace(headers={"Content-Type": kind}, content=SimpleNamespace(iter_any=iter_any))
    try:
        async for _ in pieces(cast("web.Request", request), stall=1.0, limit=LIMIT):
            pass
    except Problem as problem:
        return problem.kind.status
    return 200


def damaged(chance: random.Random) -> bytes:
    data = bytearray(FORM)
    for _ in range(chance.choice((1, 1, 3, 20))):
        at = chance.randrange(len(data) + 1)
        new = chance.choice((b"", b"\r\n", b"--frontier", b"\r\n\r\n", b"\0", b'"', b";" * 50, b"\xff\xfe", b"name="))
        data[at : at + chance.choice((0, 1, 30))] = new * chance.choice((1, 1, 20))
    return bytes(data)


def test_any_damage_is_read_or_the_clients_mistake() -> None:
    chance = random.Random(7)
    seen = [asyncio.run(outcome(damaged(chance), KIND, chance)) for _ in range(1500)]
    assert all(status < 500 for status in seen)
    assert {200, 400} <= set(seen)


@pytest.mark.parametrize("kind", KINDS, ids=range(len(KINDS)))
def test_any_content_type_is_read_or_the_clients_mistake(kind: str) -> None:
    assert asyncio.run(outcome(FORM, kind, random.Random(7))) < 500


@pytest.mark.parametrize(
    "body",
    [
        b"--frontier\r\n" * 5000,
        b"--frontier\r\n" + b"X-A: b\r\n" * 5000,
        b"--frontier\r\nContent-Disposition: " + b"a" * 90_000,
        b"--frontier\r\nContent-Disposition: form-data" + b'; a="b"' * 9000 + b"\r\n\r\nx\r\n--frontier--",
        b"x" * 90_000 + FORM,
        b"\r\n--frontie" * 9000 + FORM,
    ],
    ids=["parts", "headers", "long-header", "parameters", "preamble", "near-boundaries"],
)
def test_what_is_too_much_is_refused(body: bytes) -> None:
    assert asyncio.run(outcome(body, KIND, random.Random(7))) in {200, 400, 413, 422, 431}

"""Records that attack the event decoder: each is an event or `Undecodable`, whatever its shape and size."""

import random
from contextlib import suppress

import pytest

from common.envelope import Undecodable, body, decode, headers
from support.buskit import segment

EVENT = segment("x", index=3)
HEADERS = headers(EVENT, service="transcoder")
BODY = body(EVENT)


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        BODY.replace(b"3", b"9" * 5000),
        BODY.replace(b"3", b"1e999"),
        BODY.replace(b"3", b"NaN"),
        BODY[:-1] + b"," + BODY[1:],
        b"\0" * 1_000_000,
        b'"' + b"\\ud800" * 1000 + b'"',
        b'{"index": "\xed\xa0\x80"}',
    ],
    ids=["arrays", "objects", "digits", "infinite", "no-number", "twice", "zeros", "surrogates", "not-utf8"],
)
def test_what_breaks_parsers_is_an_event_or_undecodable(value: bytes) -> None:
    with suppress(Undecodable):
        decode(value, HEADERS)


def test_any_damage_leaves_an_event_or_undecodable() -> None:
    chance = random.Random(7)
    reasons: list[str] = []
    for _ in range(5000):
        data = bytearray(BODY)
        for _ in range(chance.choice((1, 1, 3, 20))):
            at = chance.randrange(len(data))
            data[at : at + chance.choice((0, 1, 8))] = chance.randbytes(chance.choice((0, 1, 4)))
        try:
            decode(bytes(data), HEADERS)
        except Undecodable as error:
            reasons.append(error.reason)
    assert len(reasons) > 2500
    assert max(map(len, reasons)) <= 300

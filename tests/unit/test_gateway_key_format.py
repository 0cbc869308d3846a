"""How API keys are written: long enough, never twice, and a typing error is seen without a look-up."""

import hashlib
import hmac
import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import key_format


def test_a_key_carries_256_bits_and_begins_with_its_prefix() -> None:
    made = key_format.make()
    assert re.fullmatch(r"sw_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", made.text)
    assert made.text.startswith(made.prefix + "_")
    assert key_format.prefix_of(made.text) == made.prefix
    assert 62**43 >= 2**256


def test_no_two_keys_are_alike() -> None:
    made = [key_format.make() for _ in range(1000)]
    assert len({key.prefix for key in made}) == len({key.text[14:57] for key in made}) == 1000
    # Every digit of the secret takes every value: none of the bits is left out by the way it is written.
    assert all(len({key.text[place] for key in made}) > 55 for place in range(15, 57))


@given(st.integers(0, 62), st.characters(codec="ascii"))
def test_one_wrong_character_is_seen(place: int, character: str) -> None:
    text = key_format.make().text
    wrong = text[:place] + character + text[place + 1 :]
    assert (key_format.prefix_of(wrong) is None) == (wrong != text)


@given(st.text())
def test_anything_else_is_no_key(text: str) -> None:
    assert key_format.prefix_of(text) is None


def test_a_neighbour_swap_a_cut_and_an_added_character_are_seen() -> None:
    text = key_format.make().text
    for wrong in (text[:-1], text + "A", " " + text, text.upper(), text.swapcase(), text + "\n"):
        assert key_format.prefix_of(wrong) is None


def test_what_is_stored_is_a_digest_and_with_a_pepper_a_keyed_one() -> None:
    text = key_format.make().text
    assert key_format.digest(text, None) == hashlib.sha256(text.encode()).digest()
    assert key_format.digest(text, b"pepper") == hmac.new(b"pepper", text.encode(), "sha256").digest()

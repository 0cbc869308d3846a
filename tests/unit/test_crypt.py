"""Encrypted texts: newest key first, older ones still read, and files that are none are told without being quoted."""

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from common.crypt import Crypt, Undecipherable, generate
from gateway.identity import rules
from gateway.identity.confirmation import Confirmations

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_the_newest_key_encrypts_and_every_one_decrypts() -> None:
    token = Crypt([OLD]).encrypt("Grüße")
    both = Crypt([NEW, OLD])
    assert both.decrypt(token) == "Grüße"
    renewed = both.renewed(token)
    assert renewed is not None
    assert both.renewed(renewed) is None
    assert Crypt([NEW]).decrypt(renewed) == "Grüße"
    with pytest.raises(Undecipherable):
        Crypt([OLD]).decrypt(renewed)
    with pytest.raises(Undecipherable):
        both.decrypt("nonsense")


def test_a_new_key_goes_on_top_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "encryption.keys"
    generate(path)
    token = Crypt.of_file(path).encrypt("text")
    first = path.read_text()
    generate(path)
    assert path.read_text().endswith(first)
    assert path.stat().st_mode & 0o777 == 0o600
    crypt = Crypt.of_file(path)
    assert crypt.decrypt(token) == "text"
    assert crypt.renewed(token) is not None


@pytest.mark.parametrize("content", [None, "", "secret-but-no-key\n", f"{OLD}\nsecret-but-no-key\n"])
def test_a_file_without_keys_is_an_error_that_quotes_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "encryption.keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="encryption keys") as caught:
        Crypt.of_file(path)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_confirmation_is_good_for_its_time_and_is_no_other_text() -> None:
    crypt = Crypt([NEW])
    confirmations = Confirmations(crypt)
    token = confirmations.token("address", account="a", old="b", new="c")
    read = confirmations.read(token)
    assert read is not None
    assert (read.purpose, read.values) == ("address", {"account": "a", "old": "b", "new": "c"})
    assert Confirmations(crypt, seconds=-1).read(Confirmations(crypt, seconds=-1).token("address")) is None
    for other in ("", "x", crypt.encrypt("swr_token"), crypt.encrypt("[]"), crypt.encrypt("{}"), crypt.encrypt("1")):
        assert confirmations.read(other) is None
    # A name, sealed with the same keys, that says all that a token says.
    name = rules.plain(json.dumps({"confirm": "register", "until": 4e9, "values": {"role": "admin"}}), 200)
    marked = rules.plain("\0confirm\0" + (name or ""), 200)
    for text in (name, marked):
        assert text is not None
        assert confirmations.read(crypt.encrypt(text)) is None

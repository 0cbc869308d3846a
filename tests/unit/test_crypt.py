"""Encrypted texts: the first key encrypts, all are read with; the file changes in steps that no process loses."""

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from standardwebhooks.webhooks import Webhook

from common import keyfile
from common.crypt import Crypt, Undecipherable
from common.webhook_secrets import opened, sealed
from gateway.identity import rules
from gateway.identity.confirmation import Confirmations

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "encryption.keys"
    keyfile.generate(made)
    return made


def test_the_first_key_encrypts_and_every_one_decrypts() -> None:
    token = Crypt([OLD]).encrypt("Grüße")
    both = Crypt([NEW, OLD])
    assert both.decrypt(token) == "Grüße"
    assert both.made_by(token) == 1
    renewed = both.renewed(token)
    assert renewed is not None
    assert both.made_by(renewed) == 0
    assert both.renewed(renewed) is None
    assert Crypt([NEW]).decrypt(renewed) == "Grüße"
    with pytest.raises(Undecipherable):
        Crypt([OLD]).decrypt(renewed)
    for nonsense in ("nonsense", "", "Grüße"):
        with pytest.raises(Undecipherable):
            both.decrypt(nonsense)


def test_a_new_key_only_decrypts_until_it_is_promoted(path: Path) -> None:
    first = path.read_text()
    name = keyfile.generate(path)
    assert path.read_text().startswith(first)
    assert path.stat().st_mode & 0o777 == 0o600
    crypt = Crypt.of_file(path)
    token = crypt.encrypt("text")
    assert Crypt([first.strip()]).decrypt(token) == "text"
    keyfile.promote(path, name)
    keyfile.promote(path, name)  # said twice it is still the first
    assert keyfile.name(keyfile.read(path)[0]) == name
    assert path.read_text().endswith(first)
    assert Crypt.of_file(path).renewed(token) is not None


def test_a_process_reads_what_others_write_one_step_ahead_or_behind(path: Path) -> None:
    states = [keyfile.read(path)]
    name = keyfile.generate(path)
    states.append(keyfile.read(path))
    keyfile.promote(path, name)
    states.append(keyfile.read(path))
    for before, after in pairwise(states):
        assert Crypt(before).decrypt(Crypt(after).encrypt("text")) == "text"
        assert Crypt(after).decrypt(Crypt(before).encrypt("text")) == "text"
    renewed = Crypt(states[2]).renewed(Crypt(states[0]).encrypt("text"))
    assert renewed is not None
    keyfile.keep_first(path, states[2])
    assert Crypt.of_file(path).decrypt(renewed) == "text"


def test_a_running_process_sees_that_the_file_has_changed(path: Path) -> None:
    process = Crypt.of_file(path)
    keyfile.promote(path, keyfile.generate(path))
    new = Crypt([keyfile.read(path)[0]])
    assert process.decrypt(new.encrypt("text")) == "text"
    assert new.decrypt(process.encrypt("text")) == "text"


def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_of_before(path: Path) -> None:
    process, content = Crypt.of_file(path), path.read_text()
    token = process.encrypt("text")
    for spoilt in ("", "secret-but-no-key\n", content[:-5]):
        path.write_text(spoilt)
        assert process.decrypt(token) == "text"
    path.unlink()
    assert process.decrypt(process.encrypt("text")) == "text"
    path.write_text(f"{NEW}\n{content}")
    assert process.made_by(Crypt([NEW]).encrypt("text")) == 0
    assert process.decrypt(token) == "text"


def test_a_change_leaves_owner_mode_and_links_as_they_are(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1235)
    before = path.stat()
    link = tmp_path / "link"
    link.symlink_to(path)
    keyfile.generate(link)
    assert link.is_symlink()
    assert len(keyfile.read(path)) == 2
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(tmp_path.iterdir()) == sorted([path, link])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: keyfile.promote(path, "01234567"), "no key in the file is called 01234567; there are"),
        (lambda path: keyfile.keep_first(path, [OLD]), "changed meanwhile"),
    ],
)
def test_a_change_that_cannot_be_made_changes_nothing(path: Path, change: Callable[[Path], None], says: str) -> None:
    content = path.read_text()
    with pytest.raises(ValueError, match=says) as caught:
        change(path)
    assert content.strip() not in str(caught.value)
    assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_two_who_change_the_file_at_once_do_not_undo_each_other(path: Path) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.touch()
    with pytest.raises(ValueError, match="somebody is changing the keys"):
        keyfile.generate(path)
    assert draft.exists()
    assert len(keyfile.read(path)) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be changed: No such file"):
        keyfile.generate(tmp_path / "nowhere" / "encryption.keys")


@pytest.mark.parametrize(
    "content",
    [None, "", "secret-but-no-key\n", f"{OLD}\nsecret-but-no-key\n"],
    ids=["no file", "empty", "no key", "a key and another line"],
)
def test_a_file_without_keys_is_an_error_that_quotes_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "encryption.keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="encryption keys") as caught:
        Crypt.of_file(path)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_secret_of_a_webhook_is_read_encrypted_and_as_an_earlier_release_left_it() -> None:
    crypt = Crypt([NEW])
    stored = sealed(crypt, SECRET)
    assert SECRET not in stored
    assert opened(crypt, stored) == opened(crypt, SECRET) == SECRET
    with pytest.raises(Undecipherable):
        opened(Crypt([OLD]), stored)


def test_a_notifier_that_knows_no_encrypted_secrets_refuses_them_and_signs_nothing_wrong() -> None:
    crypt = Crypt([NEW])
    for _ in range(20):  # what base64 makes of it differs from one to the next
        with pytest.raises(ValueError, match="ASCII"):  # which that notifier catches, and tries again
            Webhook(sealed(crypt, SECRET))
    Webhook(SECRET)


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

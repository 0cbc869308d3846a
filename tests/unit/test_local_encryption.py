"""`scribewire admin encryption` changes the file of the keys in the data folder, and says what comes next."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from common import keyfile
from scribewire_local.cli import app
from scribewire_local.home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SCRIBEWIRE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SCRIBEWIRE_ENCRYPTION_KEYS_FILE", raising=False)
    return Home(tmp_path / "home")


def test_a_key_is_generated_and_promoted_by_its_name(home: Home) -> None:
    home.make()
    [first] = keyfile.read(home.encryption_keys)
    said = CliRunner().invoke(app, ["admin", "encryption", "generate"])
    assert said.exit_code == 0, said.output
    kept, second = keyfile.read(home.encryption_keys)
    assert kept == first
    assert f"scribewire admin encryption promote {keyfile.name(second)}" in said.output
    assert second not in said.output
    said = CliRunner().invoke(app, ["admin", "encryption", "promote", keyfile.name(second)])
    assert said.exit_code == 0, said.output
    assert keyfile.read(home.encryption_keys) == [second, first]
    assert "scribewire admin encryption rotate" in said.output


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["generate"], "cannot be changed"),
        (["promote", "01234567"], "cannot be changed"),
        (["rotate"], "nothing is running"),
        (["status"], "nothing is running"),
        (["retire"], "nothing is running"),
    ],
)
def test_what_cannot_be_done_is_told(home: Home, words: list[str], why: str) -> None:
    said = CliRunner().invoke(app, ["admin", "encryption", *words])
    assert said.exit_code == 1
    assert why in said.output
    assert not home.encryption_keys.exists()

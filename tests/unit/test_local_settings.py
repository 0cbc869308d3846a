"""What `scribewire up` takes from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from scribewire_local.settings import LocalSettings

NAMES = ("SCRIBEWIRE_HOME", "SCRIBEWIRE_PORT", "PORT", "SCRIBEWIRE_KAFKA", "DATABASE_URL", "SCRIBEWIRE_REPLICAS")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_home_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert LocalSettings().home == tmp_path / "scribewire"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalSettings().home == tmp_path / ".local" / "share" / "scribewire"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCRIBEWIRE_HOME", "here")
    assert LocalSettings().home == tmp_path / "here"


def test_the_port_has_two_names_and_the_longer_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LocalSettings().port == 8080
    monkeypatch.setenv("PORT", "9001")
    assert LocalSettings().port == 9001
    monkeypatch.setenv("SCRIBEWIRE_PORT", "9002")
    assert LocalSettings().port == 9002


def test_settings_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SCRIBEWIRE_KAFKA=kafka.example:9092\nSOMETHING_ELSE=1\n")
    assert LocalSettings().kafka == "kafka.example:9092"


def test_the_database_password_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush@db.example/scribewire")
    assert "hush" not in repr(LocalSettings())


def test_replicas_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_REPLICAS", "transcriber=2, transcoder=3")
    settings = LocalSettings()
    assert [settings.count(name) for name in ("transcriber", "transcoder", "recorder")] == [2, 3, 1]


@pytest.mark.parametrize(
    "bad", ["transcriber", "transcriber=0", "transcriber=two", "=2", "recorder=1;notifier=2", "gateway=2"]
)
def test_bad_replicas_are_refused(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv("SCRIBEWIRE_REPLICAS", bad)
    with pytest.raises(ValidationError, match="must look like"):
        LocalSettings()

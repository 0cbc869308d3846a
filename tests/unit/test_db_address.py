"""A database on another machine is reached encrypted, or nothing starts; unless it is said that this is meant."""

import pytest
from pydantic import SecretStr, ValidationError

from common.db.address import is_exposed
from common.settings import CommonSettings


@pytest.fixture(autouse=True)
def _nothing_said_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGSSLMODE", "SCRIBEWIRE_DATABASE_PLAINTEXT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@db.example/x",
        "postgresql://u:p@db.example:5432/x?sslmode=prefer",
        "postgres://192.0.2.1/x",
        "postgresql://u:p@[2001:db8::1]:5432/x",
        "postgresql://localhost.example/x",
        "postgresql://127.0.0.1,db.example:5433/x",
        "postgresql:///x?host=db.example",
        "postgresql://u:p%40localhost@db.example/x",
        "postgresql://db.example/x?sslmode=require&sslmode=disable",
        "postgresql://u@localhost@db.example/x",
    ],
)
def test_elsewhere_in_clear(address: str) -> None:
    assert is_exposed(address)
    with pytest.raises(ValidationError, match="SCRIBEWIRE_DATABASE_PLAINTEXT") as refused:
        CommonSettings(database_url=SecretStr(address), _env_file=None)
    assert "p@" not in str(refused.value)
    meant = CommonSettings(database_url=SecretStr(address), database_plaintext=True, _env_file=None)
    assert meant.database_url.get_secret_value() == address


@pytest.mark.parametrize(
    "address",
    [
        *(f"postgresql://u:p@db.example/x?sslmode={mode}" for mode in ("require", "verify-ca", "verify-full")),
        "postgresql://u:p@127.0.0.1:5432/x",
        "postgresql://u:p@localhost/x",
        "postgresql://[::1]:5432/x",
        "postgresql://127.0.0.1,[::1]:5433/x",
        "postgresql:///x",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql://u@%2Fvar%2Frun%2Fpostgresql/x",
    ],
)
def test_here_or_encrypted(address: str) -> None:
    assert not is_exposed(address)
    CommonSettings(database_url=SecretStr(address), _env_file=None)


def test_what_the_address_leaves_open_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    assert is_exposed("postgresql:///x")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert not is_exposed("postgresql:///x")
    assert is_exposed("postgresql:///x?sslmode=prefer")


def test_an_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(ValidationError, match="DATABASE_URL is no address") as refused:
        CommonSettings(database_url=SecretStr("postgresql://u:hush\u2100hush@db.example/x"), _env_file=None)
    assert "hush" not in str(refused.value)

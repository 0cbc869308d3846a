"""`scribewire login`, `keys`, `account`, `usage` as they are typed: what is written where, and how they end."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire.commands import account, login
from support.command_line import CommandLine
from support.fake_gateway import FakeGateway, serving


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        yield fake


@pytest.fixture
def scribewire(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def secrets_of(fake: FakeGateway) -> set[str]:
    return {token for session in fake.people.sessions for token in (session.access, session.refresh)}


def test_from_register_to_delete(fake: FakeGateway, scribewire: CommandLine, tmp_path: Path) -> None:
    done = scribewire(
        "register", "ann@example.test", "--username", "ann", "--agree", "--url", fake.url, "--password-stdin",
        stdin="Passw0rd\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    seen = done.stderr + scribewire("whoami").stdout
    assert "ann (ann@example.test) at http://127.0.0.1:" in seen
    assert ", by login" in seen
    made = scribewire("keys", "create", "ci", "--scope", "jobs:read", "--expires-in-days", "30")
    key = made.stdout.strip()
    assert any(entry["key"] == key and entry["scopes"] == ["jobs:read"] for entry in fake.people.keys.values())
    listed = scribewire("keys", "list", "--json")
    key_id = json.loads(listed.stdout)[0]["id"]
    assert key not in listed.stdout + made.stderr
    rotated = json.loads(scribewire("keys", "rotate", key_id, "--json").stdout)
    assert scribewire("keys", "revoke", key_id, rotated["id"]).returncode == 0
    assert not fake.people.keys
    assert "plan" in scribewire("usage").stdout
    archive = tmp_path / "mine.zip"
    assert scribewire("account", "export", "-o", str(archive)).returncode == 0
    assert zipfile.ZipFile(archive).namelist() == ["account.json"]
    assert archive.stat().st_mode & 0o077 == 0
    refused = scribewire("account", "delete", stdin="bob\n")
    assert (refused.returncode, "ann" in fake.people.accounts) == (2, True)
    assert not any(secret in seen + refused.stderr for secret in secrets_of(fake))
    assert scribewire("account", "delete", stdin="ann\n").returncode == 0
    assert not fake.people.accounts


def test_logging_in_and_out(fake: FakeGateway, scribewire: CommandLine) -> None:
    fake.people.account("ann", "Passw0rd")
    wrong = scribewire("login", "ann", "--url", fake.url, "--password-stdin", stdin="wrong")
    assert (wrong.returncode, "The name or the password is wrong" in wrong.stderr) == (3, True)
    assert scribewire("login", "ann", "--url", f"{fake.url}/", "--password-stdin", stdin="Passw0rd").returncode == 0
    assert scribewire("logout").returncode == 0
    assert not fake.people.sessions


def test_several_processes_share_one_login(fake: FakeGateway, scribewire: CommandLine) -> None:
    fake.people.account("ann", "Passw0rd")
    scribewire("login", "ann", "--url", fake.url, "--password-stdin", stdin="Passw0rd")
    fake.people.end_access()
    # Each has been refused before the first gets its new tokens: all have to renew, and one does.
    fake.people.refresh_when = lambda: fake.count("GET", "/v1/account") >= 3
    started = [scribewire.start("whoami") for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], answers
    assert (fake.count("POST", "/auth/refresh"), fake.people.reused) == (1, 0)


def test_a_key_in_the_environment_wins(fake: FakeGateway, scribewire: CommandLine) -> None:
    fake.people.account("ann", "Passw0rd")
    scribewire("login", "ann", "--url", fake.url, "--password-stdin", stdin="Passw0rd")
    scribewire.variables = {"SCRIBEWIRE_API_KEY": fake.people.key("sw_from_the_environment")}
    assert scribewire("whoami").stdout == f"the holder of the key at {fake.url}, by key\n"
    assert fake.requests[-1][2]["Authorization"] == "Bearer sw_from_the_environment"


def test_a_password_never_goes_over_plain_http_to_another_machine(scribewire: CommandLine) -> None:
    done = scribewire("login", "ann", "--url", "http://192.0.2.1", "--password-stdin", stdin="Passw0rd")
    assert (done.returncode, "unencrypted" in done.stderr) == (2, True), done.stderr
    assert "--password-stdin" in scribewire("login", "ann", "--url", "http://127.0.0.1:1").stderr


def test_who_does_not_agree_has_no_account(fake: FakeGateway, scribewire: CommandLine) -> None:
    done = scribewire("register", "a@example.test", "--url", fake.url, "--password-stdin", stdin="n\n")
    assert done.returncode != 0
    assert fake.count("POST", "/auth/register") == 0


def test_a_registration_by_mail_says_what_to_do(fake: FakeGateway, scribewire: CommandLine) -> None:
    fake.people.by_mail = True
    done = scribewire(
        "register", "a@example.test", "--agree", "--url", fake.url, "--password-stdin", stdin="Passw0rd\n"
    )
    assert (done.returncode, "A mail was sent" in done.stderr) == (0, True)
    assert not list(scribewire.home.glob("config/scribewire/login.json"))


def test_what_the_gateway_does_not_take_is_named(fake: FakeGateway, scribewire: CommandLine) -> None:
    done = scribewire("register", "a@example.test", "--agree", "--url", fake.url, "--password-stdin", stdin="short")
    assert (done.returncode, "password: is too short" in done.stderr) == (2, True)


def test_no_password_is_taken_from_the_arguments() -> None:
    for command in (login.login, login.register, account.password):
        assert "password" not in command.__annotations__

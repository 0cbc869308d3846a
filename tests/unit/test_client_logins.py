"""A login renews itself: once, by whoever comes first, and never with a refresh token that was used."""

import asyncio
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scribewire import AsyncClient, Client, Gateway, LoggedOut, LoginFile, Problem
from scribewire.flow import Work, run
from support.fake_gateway import FakeGateway, Scripted, serving


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with serving() as fake:
        fake.people.account("ann", "Passw0rd")
        yield fake


@pytest.fixture
def file(tmp_path: Path) -> LoginFile:
    return LoginFile(tmp_path / "config" / "login.json")


def logged_in(fake: FakeGateway, file: LoginFile) -> Gateway:
    gateway = Gateway(fake.url, keep=file.at(fake.url))
    with Client(gateway) as client:
        client.login("ann", "Passw0rd")
    return gateway


def test_a_401_is_answered_by_one_refresh_and_the_request_again(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.people.end_access()
        assert client.account()["username"] == "ann"
        assert client.account()["email"] == "ann@example.test"
    assert fake.count("POST", "/auth/refresh") == 1
    assert fake.count("GET", "/v1/account") == 3


def test_a_token_that_ends_soon_is_renewed_before_it_is_used(fake: FakeGateway, file: LoginFile) -> None:
    fake.people.expires_in = 10
    gateway = logged_in(fake, file)
    fake.people.expires_in = 900
    with Client(gateway) as client:
        client.account()
    assert (fake.count("POST", "/auth/refresh"), fake.count("GET", "/v1/account")) == (1, 1)


def test_a_401_that_stays_is_told_and_not_repeated_for_ever(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.scripts["GET", "/v1/account"].extend([Scripted(401, {"detail": "Not you."})] * 5)
        with pytest.raises(Problem, match="Not you"):
            client.account()
    assert fake.count("GET", "/v1/account") == 2


def test_many_threads_refresh_once(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client, ThreadPoolExecutor(8) as pool:
        fake.people.end_access()
        fake.people.refresh_when = lambda: fake.count("GET", "/v1/account") >= 8
        accounts = list(pool.map(lambda _: client.account()["username"], range(8)))
    assert accounts == ["ann"] * 8
    assert (fake.count("POST", "/auth/refresh"), fake.people.reused) == (1, 0)


async def test_many_tasks_refresh_once(fake: FakeGateway, file: LoginFile) -> None:
    gateway = logged_in(fake, file)
    fake.people.end_access()
    fake.people.refresh_when = lambda: fake.count("GET", "/v1/account") >= 8
    async with AsyncClient(gateway) as client:
        accounts = await asyncio.gather(*(client.account() for _ in range(8)))
    assert [account["username"] for account in accounts] == ["ann"] * 8
    assert (fake.count("POST", "/auth/refresh"), fake.people.reused) == (1, 0)


async def test_a_task_cancelled_while_it_renews_loses_no_token(fake: FakeGateway, file: LoginFile) -> None:
    gateway = logged_in(fake, file)
    fake.people.end_access()
    answer = asyncio.Event()
    fake.people.refresh_when = answer.is_set
    async with AsyncClient(gateway) as client:
        task = asyncio.create_task(client.account())
        while not fake.count("POST", "/auth/refresh"):
            await asyncio.sleep(0.01)
        task.cancel()
        answer.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    with Client(gateway) as again:
        assert again.account()["username"] == "ann"
    assert (fake.count("POST", "/auth/refresh"), fake.people.reused) == (1, 0)


def test_a_lost_answer_to_a_refresh_is_asked_for_again(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.people.end_access()
        fake.scripts["POST", "/auth/refresh"].append(Scripted(drop=True))
        assert client.account()["username"] == "ann"
    assert fake.count("POST", "/auth/refresh") == 2


def test_a_login_that_ended_at_the_gateway_is_forgotten_here(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.people.sessions.clear()
        with pytest.raises(LoggedOut, match="log in again"):
            client.account()
    assert file.get(fake.url) is None


def test_a_gateway_that_is_away_costs_no_login(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file), patience=0.5) as client:
        fake.people.end_access()
        fake.scripts["POST", "/auth/refresh"].extend([Scripted(503, {"detail": "Away."})] * 20)
        with pytest.raises(Problem, match="Away"):
            client.account()
        fake.scripts.clear()
        assert client.account()["username"] == "ann"


def test_the_new_token_is_kept_before_it_is_used(fake: FakeGateway, file: LoginFile) -> None:
    gateway = logged_in(fake, file)
    fake.people.end_access()
    with Client(gateway) as client:
        client.account()
    session, kept = fake.people.sessions[0], file.get(fake.url)
    assert kept is not None
    assert (kept.access, kept.refresh, kept.user) == (session.access, session.refresh, "ann")


def test_only_its_user_can_read_the_file(fake: FakeGateway, file: LoginFile) -> None:
    logged_in(fake, file)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.path.parent.iterdir() if path.suffix != ".lock") == ["login.json"]


def test_logins_at_several_gateways_stand_side_by_side(fake: FakeGateway, file: LoginFile) -> None:
    first = logged_in(fake, file)
    with serving() as other:
        other.people.account("bob", "Passw0rd")
        with Client(Gateway(other.url, keep=file.at(other.url))) as client:
            client.login("bob", "Passw0rd")
        assert file.current() == other.url
        file.put(other.url, None)
    assert file.current() == fake.url
    with Client(first) as client:
        assert client.account()["username"] == "ann"


def test_a_program_does_not_go_on_as_somebody_who_logs_in_elsewhere(fake: FakeGateway, file: LoginFile) -> None:
    fake.people.account("bob", "Passw0rd")
    with Client(logged_in(fake, file)) as client, Client(Gateway(fake.url, keep=file.at(fake.url))) as elsewhere:
        elsewhere.login("bob", "Passw0rd")
        assert client.account()["username"] == "ann"
        fake.people.end_access()
        for _ in range(2):
            with pytest.raises(LoggedOut, match="begun as ann, and now bob is logged in"):
                client.account()
        # Nor does it end their login.
        client.logout()
        assert elsewhere.account()["username"] == "bob"
        client.login("ann", "Passw0rd")
        assert client.account()["username"] == "ann"


def test_ending_a_login_leaves_that_of_somebody_else(fake: FakeGateway, file: LoginFile) -> None:
    fake.people.account("bob", "Passw0rd")
    with Client(logged_in(fake, file)) as client, Client(Gateway(fake.url, keep=file.at(fake.url))) as elsewhere:
        elsewhere.login("bob", "Passw0rd")
        client.logout()
    kept = file.get(fake.url)
    assert kept is not None
    assert kept.user == "bob"
    assert [session.user for session in fake.people.sessions] == ["bob"]


def test_an_account_that_was_erased_before_the_answer_was_lost_is_erased(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.scripts["DELETE", "/v1/account"].append(Scripted(drop=True))
        fake.people.sessions.clear()
        client.delete_account()
    assert fake.count("DELETE", "/v1/account") == 2


def test_an_account_is_not_taken_for_erased_because_a_token_ended(fake: FakeGateway, file: LoginFile) -> None:
    with Client(logged_in(fake, file)) as client:
        fake.scripts["DELETE", "/v1/account"].append(Scripted(drop=True))
        fake.people.end_access()
        client.delete_account()
        assert not fake.people.accounts
        with pytest.raises(LoggedOut):
            client.delete_account()


def test_a_broken_file_is_no_login(file: LoginFile) -> None:
    file.path.parent.mkdir(parents=True)
    for text in ("", "[]", '{"logins": 1}', '{"logins": {"http://x": {"access": 1}}}'):
        file.path.write_text(text)
        assert file.get("http://x") is None


def test_a_login_in_memory_lasts_as_long_as_its_client(fake: FakeGateway) -> None:
    with Client(Gateway(fake.url)) as client:
        client.login("ann@example.test", "Passw0rd")
        fake.people.end_access()
        assert client.account()["username"] == "ann"
        client.logout()
        assert not fake.people.sessions


def test_no_token_shows_in_a_repr(fake: FakeGateway, file: LoginFile) -> None:
    gateway = logged_in(fake, file)
    login = file.get(fake.url)
    assert login is not None
    shown = f"{gateway!r} {login!r}"
    assert login.access not in shown
    assert login.refresh not in shown


def test_what_blocks_and_fails_is_thrown_into_the_flow() -> None:
    def flow():  # type: ignore[no-untyped-def]
        try:
            yield Work(lambda: Path("/nonexistent/file").read_text())
        except FileNotFoundError:
            return "seen"

    assert run(flow(), None) == "seen"  # type: ignore[arg-type]

"""The Python client against the real gateway: what both say to each other is what both mean."""

import io
import random
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from scribewire import AsyncClient, Gateway, LoggedOut, LoginFile, Problem, unfinished
from support.gateway import KEY, RunningGateway, prepare, running_gateway
from support.platform import fresh_database

PASSWORD = "Correct-horse-7"


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture
async def person(gateway: RunningGateway, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    """Somebody with an account of their own, logged in."""
    url, name = str(gateway.url).rstrip("/"), f"ann{random.SystemRandom().randrange(10**12)}"
    async with AsyncClient(Gateway(url, keep=LoginFile(tmp_path / "login.json").at(url)), patience=10) as client:
        answer = await client.register(
            f"{name}@example.org", PASSWORD, username=name, gdpr_consent=True, data_retention_agreed=True
        )
        assert answer["user"]["username"] == name
        yield client


async def test_a_login_renews_itself_and_ends(person: AsyncClient) -> None:
    keep = person.gateway.keep
    assert keep is not None
    before = keep.read()
    assert before is not None
    assert before.expires - time.time() <= 900
    keep.write(replace(before, expires=time.time()))
    async with AsyncClient(person.gateway) as other:
        assert (await other.account())["username"] == before.user
        after = keep.read()
        assert after is not None
        assert (after.access != before.access, after.refresh != before.refresh) == (True, True)
        await other.logout()
    assert keep.read() is None
    with pytest.raises((LoggedOut, Problem)):
        await person.account()


async def test_a_wrong_password_and_a_bad_one_are_told(person: AsyncClient) -> None:
    name = str((await person.account())["username"])
    async with AsyncClient(Gateway(person.gateway.url)) as stranger:
        with pytest.raises(Problem) as wrong:
            await stranger.login(name, "Wrong-horse-7")
        assert (wrong.value.status, wrong.value.exit_code) == (401, 3)
        with pytest.raises(Problem, match="password") as weak:
            await stranger.register("x@example.org", "short", gdpr_consent=True, data_retention_agreed=True)
        assert (weak.value.status, weak.value.exit_code) == (422, 2)
    await person.change_password(PASSWORD, "Another-horse-8")
    async with AsyncClient(Gateway(person.gateway.url)) as client:
        assert (await client.login(name, "Another-horse-8"))["user"]["username"] == name


async def test_keys_are_made_listed_rotated_and_revoked(person: AsyncClient) -> None:
    made = await person.create_key("ci", ["jobs:read"], expires_in_days=30)
    async with AsyncClient(Gateway(person.gateway.url, made["key"])) as program:
        assert (await program.jobs())["jobs"] == []
        with pytest.raises(Problem) as forbidden:
            await program.submit(b"RIFFsound")
        assert forbidden.value.status == 403
    fresh = await person.rotate_key(made["id"], grace_seconds=0)
    assert fresh["key"] != made["key"]
    assert fresh["id"] in [key["id"] for key in await person.keys()]
    await person.revoke_key(fresh["id"])
    async with AsyncClient(Gateway(person.gateway.url, fresh["key"])) as program:
        with pytest.raises(Problem) as revoked:
            await program.jobs()
        assert revoked.value.status == 401


async def test_media_comes_in_by_every_way(person: AsyncClient, gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "größe.wav"
    file.write_bytes(random.Random(7).randbytes(3_000_000))
    job = await person.upload(file, {"language": "en", "priority": "bulk"})
    assert (job["filename"], job["size"], job["priority"]) == ("größe.wav", 3_000_000, "bulk")
    assert any((gateway.blobs / name).read_bytes() == file.read_bytes() for name in gateway.stored())
    again = await person.submit(file, {"language": "en"}, idempotency_key="once")
    assert (await person.submit(file, {"language": "en"}, idempotency_key="once"))["id"] == again["id"]
    fetched = await person.submit_url("https://example.com/talk.mp3", {"language": "en"})
    assert await person.hold(file)
    assert {job["id"], again["id"], fetched["id"]} == {entry["id"] async for entry in person.history()}
    await person.delete(again["id"])


async def test_an_upload_that_was_begun_is_taken_up(person: AsyncClient, tmp_path: Path) -> None:
    file = tmp_path / "big.wav"
    file.write_bytes(random.Random(8).randbytes(12_000_000))

    def stop(count: int) -> None:
        if count > 8_000_000:
            raise InterruptedError

    with unfinished(person.gateway.url, file, {}, tmp_path / "state") as memory:
        with pytest.raises(InterruptedError):
            await person.upload(file, sent=stop, unfinished=memory)
        begun = memory.find()
        told: list[int] = []
        job = await person.upload(file, sent=told.append, unfinished=memory)
        after = memory.find()
    assert begun is not None
    assert after is not None
    assert (after.path, after.job, job["size"]) == (begun.path, job["id"], 12_000_000)
    assert told[-1] == 12_000_000


async def test_an_account_is_exported_and_erased(person: AsyncClient) -> None:
    await person.submit(b"RIFFsound", filename="a.wav")
    whole, without = io.BytesIO(), io.BytesIO()
    await person.export(whole)
    await person.export(without, recordings=False)
    names = [zipfile.ZipFile(file).namelist() for file in (whole, without)]
    assert set(names[1]) < set(names[0])
    await person.delete_account()
    with pytest.raises((LoggedOut, Problem)) as refused:
        await person.account()
    assert refused.value.exit_code == 3


async def test_the_operators_key_has_no_account(gateway: RunningGateway) -> None:
    async with AsyncClient(Gateway(str(gateway.url).rstrip("/"), KEY)) as operator:
        with pytest.raises(Problem) as none:
            await operator.account()
    assert none.value.status == 409

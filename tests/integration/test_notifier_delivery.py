"""Webhooks end to end but for Kafka: real rows in PostgreSQL, real HTTP, receivers that misbehave."""

import asyncio
import base64
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from pydantic import SecretStr

from common import keyfile
from common.bus import BatchStage
from common.crypt import Crypt
from common.db.migrate import migrate
from common.db.pool import open_pool
from common.events import BlobRef, JobCancelled, JobCompleted, JobFailed, Terminal
from common.guard import guarded_connector
from common.options import JobOptions
from common.settings import CommonSettings
from common.testing import run_batch
from common.webhook_secrets import sealed
from notifier.courier import Courier
from notifier.handler import Notify
from notifier.post import HttpSender
from notifier.schedule import JITTER, WAITS
from notifier.store import Store
from support.platform import fresh_database
from support.receiver import Receiver, drip, flood, hang, receiver, redirect, reset, status
from support.waiting import eventually

CALLBACK_SECRET = "whsec_" + base64.b64encode(b"c" * 32).decode()
KEY = Fernet.generate_key().decode()
CRYPT = Crypt([KEY])


@pytest.fixture(scope="module")
async def database(postgres_server_dsn: str) -> str:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    return dsn


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(CommonSettings(database_url=SecretStr(database), _env_file=None), size=16) as pool:
        await pool.execute("TRUNCATE jobs, erased_jobs, webhook_endpoints, webhook_deliveries")
        yield pool


class Office:
    """A notifier without Kafka: events are handed to its handler, its courier runs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.store = Store(pool)
        self.courier: Courier | None = None

    async def endpoint(
        self,
        url: str,
        *,
        owner: str = "operator",
        events: tuple[str, ...] = ("job.completed",),
        crypt: Crypt | None = CRYPT,
    ) -> str:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        stored = secret if crypt is None else sealed(crypt, secret)
        await self.pool.execute(
            "INSERT INTO webhook_endpoints (id, owner, url, secret, events, created_at) VALUES ($1,$2,$3,$4,$5,$6)",
            uuid4(), owner, url, stored, list(events), datetime.now(UTC) - timedelta(minutes=1),
        )  # fmt: skip
        return secret

    async def announce(self, *events: Terminal) -> None:
        wake = self.courier.wake if self.courier else lambda: None
        stage = BatchStage(
            events=(JobCompleted, JobFailed, JobCancelled), handler=Notify(register=self.store, wake=wake)
        )
        await run_batch(stage, events)

    @asynccontextmanager
    async def sending(
        self,
        *,
        scale: float = 0.001,
        seconds: float = 5.0,
        slots: int = 160,
        allow_private: bool = True,
        crypt: Crypt = CRYPT,
    ) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=guarded_connector(allow_private=allow_private)) as session:
            sender = HttpSender(session=session, secret=CALLBACK_SECRET, crypt=crypt, seconds=seconds)
            self.courier = Courier(
                queue=self.store, sender=sender, slots=slots, claim_seconds=seconds + 5, poll_seconds=0.02,
                scale=scale, stop_seconds=0.5,
            )  # fmt: skip
            running = asyncio.create_task(self.courier())
            try:
                yield
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def rows(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.pool.fetch("SELECT * FROM webhook_deliveries ORDER BY created_at, id")]

    async def row(self) -> dict[str, Any]:
        (row,) = await self.rows()
        return row

    async def settled(self, seconds: float = 20) -> list[dict[str, Any]]:
        async def done() -> bool:
            return not await self.pool.fetchval(
                "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NULL AND failed_at IS NULL"
            )

        await eventually(done, seconds)
        return await self.rows()


@pytest.fixture
def office(pool: asyncpg.Pool) -> Office:
    return Office(pool)


def completed(*, job: UUID | None = None, owner: str = "operator", callback: str | None = None) -> JobCompleted:
    job = job or uuid4()
    return JobCompleted(
        job_id=job,
        owner=owner,
        created_at=datetime.now(UTC),
        filename="talk.wav",
        options=JobOptions(callback_url=callback),
        duration=3.0,
        language="en",
        words=9,
        transcript=BlobRef(name=f"users/{owner}/transcripts/{job}/transcript.json"),
    )


async def test_a_signed_message_arrives(office: Office) -> None:
    async with receiver() as there, office.sending():
        secret = await office.endpoint(f"{there.url}/hook?token=1")
        event = completed()
        await office.announce(event)
        row = (await office.settled())[0]
    (got,) = there.received
    got.verify(secret)
    assert got.id == str(event.id)
    assert got.headers["content-type"] == "application/json"
    assert got.json["data"]["id"] == str(event.job_id)
    assert got.path == "/hook"
    assert (row["attempts"], row["last_status"], row["last_error"]) == (1, 200, None)
    assert row["body"].encode() == got.body


async def test_a_secret_that_an_earlier_gateway_stored_in_clear_signs_as_before(office: Office) -> None:
    async with receiver() as there, office.sending():
        secret = await office.endpoint(there.url, crypt=None)
        await office.announce(completed())
        await office.settled()
    there.received[0].verify(secret)


async def test_a_secret_whose_key_is_not_here_yet_waits_and_is_signed_when_it_is(
    office: Office, tmp_path: Path
) -> None:
    keys = tmp_path / "encryption.keys"
    keyfile.generate(keys)
    async with receiver() as there, office.sending(crypt=Crypt.of_file(keys)):
        secret = await office.endpoint(there.url, crypt=CRYPT)
        await office.announce(completed())

        async def put_off() -> bool:
            row = await office.row()
            return bool(row["attempts"]) and row["last_error"] == "no key here decrypts the endpoint's secret"

        await eventually(put_off, 10)
        assert there.received == []
        keys.write_text(f"{keys.read_text()}{KEY}\n")
        (row,) = await office.settled()
    assert row["delivered_at"] is not None
    assert len(there.received) == 1
    there.received[0].verify(secret)


async def test_a_callback_is_signed_with_the_operators_secret(office: Office) -> None:
    async with receiver() as there, office.sending():
        for event in (
            completed(callback=f"{there.url}/cb"),
            JobFailed(
                job_id=uuid4(), owner="operator", created_at=datetime.now(UTC),
                options=JobOptions(callback_url=f"{there.url}/cb"),
            ),
            JobCancelled(
                job_id=uuid4(), owner="operator", created_at=datetime.now(UTC),
                options=JobOptions(callback_url=f"{there.url}/cb"),
            ),
        ):  # fmt: skip
            await office.announce(event)
        await office.settled()
    assert sorted(got.json["type"] for got in there.received) == ["job.cancelled", "job.completed", "job.failed"]
    for got in there.received:
        got.verify(CALLBACK_SECRET)


async def test_only_who_wants_to_know_is_told(office: Office) -> None:
    async with receiver() as there, office.sending():
        await office.endpoint(f"{there.url}/mine")
        await office.endpoint(f"{there.url}/failures", events=("job.failed",))
        await office.endpoint(f"{there.url}/theirs", owner="somebody")
        await office.announce(completed())
        await office.settled()
    assert [got.path for got in there.received] == ["/mine"]


async def test_an_event_seen_again_is_sent_once(office: Office) -> None:
    async with receiver() as there, office.sending():
        await office.endpoint(there.url)
        event = completed(callback=f"{there.url}/cb")
        await office.announce(event, event)
        await office.announce(event)
        await office.settled()
        await office.announce(event)
        rows = await office.settled()
    assert len(rows) == 2
    assert sorted(got.path for got in there.received) == ["/", "/cb"]


async def test_a_later_endpoint_does_not_get_the_past(office: Office) -> None:
    event = completed().model_copy(update={"time": datetime.now(UTC) - timedelta(hours=1)})
    async with receiver() as there, office.sending():
        await office.endpoint(there.url)
        await office.announce(event)
        assert await office.rows() == []


async def test_an_erased_jobs_event_is_not_sent(office: Office) -> None:
    event = completed()
    await office.pool.execute("INSERT INTO erased_jobs (job_id, erased_at) VALUES ($1, now())", event.job_id)
    async with receiver() as there, office.sending():
        await office.endpoint(there.url)
        await office.announce(event)
        assert await office.rows() == []


async def test_nothing_is_kept_for_a_job_that_is_just_being_erased(office: Office) -> None:
    event = completed()
    await office.pool.execute("INSERT INTO jobs (id, owner, lane) VALUES ($1, 'operator', 'bulk')", event.job_id)
    await office.endpoint("https://hooks.example.com/")
    async with office.pool.acquire() as connection, connection.transaction():
        # As the recorder erases: first the row is locked, at the end the bare id is kept.
        await connection.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", event.job_id)
        announcing = asyncio.create_task(office.announce(event))
        async with asyncio.timeout(10):
            while not await office.pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.02)
        await connection.execute("DELETE FROM jobs WHERE id = $1", event.job_id)
        await connection.execute("INSERT INTO erased_jobs (job_id, erased_at) VALUES ($1, now())", event.job_id)
    await announcing
    assert await office.rows() == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(500), "answered 500"),
        (status(404), "answered 404"),
        (status(304), "a redirect (304) is not followed"),
        (hang, "no answer within 0.3 s"),
        (drip, "no answer within 0.3 s"),
        (reset, "the connection broke, or what answered was not HTTP"),
    ],
    ids=["500", "404", "304", "hang", "drip", "reset"],
)
async def test_a_failure_is_tried_again_with_the_same_id_and_body(office: Office, answer: Any, said: str) -> None:
    async with receiver() as there, office.sending(seconds=0.3, scale=0.1):
        secret = await office.endpoint(there.url)
        there.script = [answer]
        await office.announce(completed())

        async def postponed() -> bool:
            return (await office.row())["attempts"] == 1

        await eventually(postponed)
        assert (await office.row())["last_error"] == said
        row = (await office.settled())[0]
    first, second = there.received
    assert first.id == second.id
    assert first.body == second.body
    first.verify(secret)
    second.verify(secret)
    assert (row["attempts"], row["last_status"], row["failed_at"]) == (2, 200, None)


async def test_an_attempt_that_breaks_on_our_side_counts(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(HttpSender, "send", broken)
    async with office.sending(scale=0.0000001):
        await office.endpoint("http://127.0.0.1:9/")
        await office.announce(completed())
        row = (await office.settled())[0]
    assert (row["attempts"], row["last_error"]) == (10, "the attempt broke on our side")


async def test_an_endless_answer_is_not_read(office: Office) -> None:
    async with receiver() as there, office.sending(seconds=2):
        await office.endpoint(there.url)
        there.answer = flood
        await office.announce(completed())
        assert (await office.settled())[0]["last_status"] == 200


async def test_a_redirect_is_not_followed(office: Office) -> None:
    async with receiver() as there, receiver() as elsewhere, office.sending(scale=0.00001):
        await office.endpoint(there.url)
        there.script = [redirect(elsewhere.url, number) for number in (301, 302, 303, 307, 308)]
        await office.announce(completed())
        assert (await office.settled())[0]["attempts"] == 6
    assert elsewhere.received == []


async def test_after_ten_attempts_it_is_failed_and_says_so(office: Office) -> None:
    scale = 0.00001
    async with receiver() as there, office.sending(scale=scale):
        await office.endpoint(there.url)
        there.answer = status(503)
        await office.announce(completed())
        row = (await office.settled())[0]
        await asyncio.sleep(0.2)
    assert len(there.received) == 10 == row["attempts"]
    assert row["failed_at"] is not None
    assert row["delivered_at"] is None
    assert (row["last_status"], row["last_error"]) == (503, "answered 503")
    waited = [b.time - a.time for a, b in zip(there.received, there.received[1:], strict=False)]
    for wait, planned in zip(waited, WAITS, strict=True):
        assert wait >= planned * scale * (1 - JITTER)


async def test_gone_disables_the_endpoint_and_what_waits_for_it(office: Office) -> None:
    async with receiver() as there, receiver() as other, office.sending():
        await office.endpoint(there.url)
        await office.endpoint(other.url)
        there.answer = status(410)
        await office.announce(completed())
        await office.settled()
        row = await office.pool.fetchrow("SELECT * FROM webhook_endpoints WHERE disabled_at IS NOT NULL")
        assert row["url"] == there.url
        assert row["disabled_reason"] == "it answered 410 Gone"
        await office.announce(completed())
        rows = await office.settled()
    assert len(there.received) == 1
    assert len(other.received) == 2
    assert len(rows) == 3


async def test_deliveries_of_a_removed_endpoint_end(office: Office) -> None:
    await office.endpoint("http://127.0.0.1:9/")
    await office.announce(completed())
    await office.pool.execute("DELETE FROM webhook_endpoints")
    async with office.sending():
        row = (await office.settled())[0]
    assert (row["attempts"], row["last_error"]) == (0, "the webhook was removed")


async def test_retry_after_is_obeyed(office: Office) -> None:
    async with receiver() as there, office.sending(scale=0.01):
        await office.endpoint(there.url)
        there.script = [status(429, {"Retry-After": "100"})]
        await office.announce(completed())
        await office.settled()
    first, second = there.received
    assert second.time - first.time >= 1.0, "100 s, compressed a hundred times; the schedule alone says 0.05 s"


async def test_inner_addresses_are_never_connected_to(office: Office) -> None:
    async with receiver() as there, office.sending(allow_private=False, scale=0.0000001):
        port = there.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"):
            await office.announce(completed(callback=f"http://{host}:{port}/"))
        rows = await office.settled()
    assert there.received == []
    assert {row["last_error"] for row in rows} == {"the address is not public"}
    assert all(row["failed_at"] for row in rows)


async def test_a_delivery_of_a_notifier_that_died_is_sent_by_another(office: Office) -> None:
    async with receiver() as there:
        await office.endpoint(there.url)
        await office.announce(completed())
        lost = await office.store.claim(10, share=10, places={}, seconds=0.5)
        assert len(lost) == 1
        async with office.sending():
            await office.settled()
    assert len(there.received) == 1


async def test_two_notifiers_never_hold_the_same_delivery(office: Office) -> None:
    await office.endpoint("http://127.0.0.1:9/")
    await office.announce(*(completed() for _ in range(200)))
    claims = await asyncio.gather(*(office.store.claim(50, share=50, places={}, seconds=60) for _ in range(8)))
    ids = [delivery.id for claim in claims for delivery in claim]
    while more := await office.store.claim(50, share=50, places={}, seconds=60):
        ids += [delivery.id for delivery in more]
    assert len(ids) == len(set(ids)) == 200


async def test_claims_go_round_the_destinations(office: Office) -> None:
    for path in "abc":
        await office.endpoint(f"http://127.0.0.1:9/{path}")
    await office.announce(*(completed() for _ in range(30)))
    busy = await office.store.claim(3, share=1, places={}, seconds=60)
    assert len({delivery.destination for delivery in busy}) == 3
    some = await office.store.claim(100, share=2, places={busy[0].destination: 0, busy[1].destination: 5}, seconds=60)
    assert Counter(delivery.destination for delivery in some) == {busy[1].destination: 5, busy[2].destination: 2}


async def test_a_dead_endpoint_holds_few_slots(office: Office) -> None:
    """What bounds the others' delay: of 160 slots, all in use, a receiver that never answers has two at most.

    The promised 5 % itself is not asserted: on a machine that does other work a run differs from the next by more.
    The time limit here is coarse; it fails when the others wait for the dead one's time-outs.
    """
    held = most = 0

    async def answer_slowly(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return web.Response()

    async def never(_request: web.Request) -> web.StreamResponse:
        nonlocal held, most
        held += 1
        most = max(most, held)
        return await hang(_request)

    async with receiver() as good, receiver() as bad:
        good.answer, bad.answer = answer_slowly, never
        for path in range(80):
            await office.endpoint(f"{good.url}/{path}")
        await office.endpoint(bad.url)
        await office.announce(*(completed() for _ in range(10)))
        async with office.sending(seconds=30, slots=160):
            await eventually(lambda: reached(good, 800), 25)
    assert 1 <= most <= 2


async def reached(there: Receiver, number: int) -> bool:
    return there.accepted.total() >= number


@pytest.mark.slow
async def test_a_thousand_events_to_a_moody_receiver_all_arrive(office: Office) -> None:
    chance = random.Random(7)
    moods = [status(500), status(429), reset, redirect("http://127.0.0.1:9/"), hang, drip, flood, status(200)]

    async def moody(request: Any) -> Any:
        return await chance.choices(moods, weights=[6, 3, 3, 3, 1, 1, 3, 40])[0](request)

    events = [completed() for _ in range(1000)]
    async with receiver() as there, office.sending(scale=0.00001, seconds=0.5):
        secret = await office.endpoint(there.url)
        there.answer = moody
        for start in range(0, 1000, 100):
            await office.announce(*events[start : start + 100])
        rows = await office.settled(120)
    assert {got.id for got in there.received} == {str(event.id) for event in events}
    bodies: dict[str, set[bytes]] = {}
    for got in there.received:
        got.verify(secret)
        bodies.setdefault(got.id, set()).add(got.body)
    assert all(len(each) == 1 for each in bodies.values())
    lost = [row for row in rows if row["delivered_at"] is None]
    assert all(row["attempts"] == 10 and row["failed_at"] for row in lost)
    delivered = {str(row["event_id"]) for row in rows if row["delivered_at"]}
    assert delivered <= set(there.accepted)
    assert len(delivered) > 990

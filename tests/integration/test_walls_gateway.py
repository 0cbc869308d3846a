"""Limits over HTTP: two gateways on one database hold owners to them, before the bytes are sent; usage; retention."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from common.events import JobControl, UploadReceived
from support.doors import BelievingDoor
from support.gateway import RunningGateway, form, prepare, problem, running_gateway
from support.platform import fresh_database
from support.tus import RESUMABLE, UPLOADS, create, metadata
from support.waiting import eventually

SOUND = b"RIFF sound"
PLANS = {"free": {"jobs_per_hour": 50, "outstanding_jobs": 100}, "pro": {"retention_days": 30}}


@dataclass(frozen=True)
class Pair:
    """Two gateways on one database."""

    one: RunningGateway
    other: RunningGateway

    async def account(self, plan: str = "free") -> str:
        """An account nobody else has."""
        account = uuid4()
        await self.one.sql(
            "INSERT INTO accounts (id, plan, created_at, updated_at) VALUES ($1, $2, now(), now())", account, plan
        )
        return str(account)

    async def limit(self, account: str, **limits: object) -> dict[str, Any]:
        """Change an account's limits, as an admin does."""
        async with self.one.http.patch(f"/v1/admin/accounts/{account}/limits", json=limits) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def used(self, account: str, *, usd: float = 0.0, seconds: float = 0.0, **columns: object) -> None:
        """Record a billable act."""
        values = {
            "id": uuid4(),
            "job_id": uuid4(),
            "owner": account,
            "service": "transcription",
            "provider": "deepgram",
            "endpoint": "/v1/listen",
            "audio_seconds": seconds,
            "tokens": 0,
            "cost_usd": Decimal(repr(usd)),
            "at": datetime.now(UTC),
            **columns,
        }
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self.one.sql(f"INSERT INTO usage ({', '.join(values)}) VALUES ({places})", *values.values())


@asynccontextmanager
async def as_account(gateway: RunningGateway, account: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of an account."""
    async with aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {account}"}) as http:
        yield http


@pytest.fixture(scope="module")
async def pair(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("walls")
    with pytest.MonkeyPatch.context() as env:
        env.setenv("DEEPGRAM_API_KEY", "a key that is never used")
        async with AsyncExitStack() as stack:
            settings: dict[str, Any] = {"plans": PLANS, "retention_hours": 0.0005}
            yield Pair(
                *[
                    await stack.enter_async_context(
                        running_gateway(kafka_bootstrap, dsn, folder, door=BelievingDoor(), **settings)
                    )
                    for _ in range(2)
                ]
            )


class TestLimits:
    async def test_two_gateways_take_exactly_as_many_as_there_are(self, pair: Pair) -> None:
        account = await pair.account()
        await pair.limit(account, jobs_per_hour=7)
        async with as_account(pair.one, account) as here, as_account(pair.other, account) as there:

            async def submit(number: int) -> aiohttp.ClientResponse:
                async with (here, there)[number % 2].post("/v1/jobs", data=SOUND) as answer:
                    await answer.read()
                    return answer

            answers = await asyncio.gather(*(submit(number) for number in range(40)))
            taken = [answer for answer in answers if answer.status == 202]
            refused = [answer for answer in answers if answer.status == 429]
            assert (len(taken), len(refused)) == (7, 33)
            assert {answer.headers["RateLimit-Policy"] for answer in answers} == {
                '"jobs-per-hour";q=7;w=3600, "jobs-per-month";q=1000, "outstanding-jobs";q=100;qu="concurrent-requests"'
            }
            left = sorted(answer.headers["RateLimit"].partition(";")[2].partition(";")[0] for answer in taken)
            assert left == [f"r={n}" for n in range(7)]
            # One job drips back every 3600/7 s; the first came a moment ago.
            assert {500 < int(answer.headers["Retry-After"]) <= 515 for answer in refused} == {True}
            async with there.get("/v1/limits") as answer:
                shown = await answer.json()
        assert (shown["plan"], shown["jobs_per_hour"]["limit"], shown["jobs_per_hour"]["left"]) == ("free", 7, 0)
        assert (shown["jobs_per_month"]["used"], shown["outstanding_jobs"]["left"]) == (7, 93)
        assert shown["resets_at"] > datetime.now(UTC).isoformat()

    async def test_what_is_refused_is_never_sent(self, pair: Pair) -> None:
        account = await pair.account()
        await pair.limit(account, outstanding_jobs=1)
        asked = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal asked
            asked += 1
            yield SOUND

        async with as_account(pair.one, account) as http:
            async with http.post("/v1/jobs", data=SOUND) as answer:
                assert answer.status == 202
            before = pair.one.stored()
            async with http.post("/v1/jobs", data=body(), expect100=True) as answer:
                document = await problem(answer, 429, "too-many-jobs")
                assert document["violated-policies"] == ["outstanding-jobs"]
                assert answer.headers["Retry-After"] == "10"
        assert asked == 0
        assert pair.one.stored() == before

    async def test_a_refused_upload_gives_its_count_back_and_a_repeat_does_not_count(self, pair: Pair) -> None:
        account = await pair.account()
        await pair.limit(account, jobs_per_month=3, jobs_per_hour="unlimited")
        headers = {"Idempotency-Key": str(uuid4())}
        async with as_account(pair.one, account) as here, as_account(pair.other, account) as there:
            for wrong in (form(b""), form(SOUND, language="xx-nobody-speaks"), form(None)):
                async with here.post("/v1/jobs", data=wrong) as answer:
                    assert answer.status == 422
            jobs = set()
            for http in (here, there, here):
                async with http.post("/v1/jobs", data=SOUND, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()
                    jobs.add((await answer.json())["id"])
            async with there.post("/v1/jobs", data=SOUND + b"!", headers=headers) as answer:
                await problem(answer, 422, "idempotency-key-reused")
            assert len(jobs) == 1
            async with here.get("/v1/limits") as answer:
                shown = await answer.json()
            assert shown["jobs_per_month"] == {"limit": 3, "used": 1, "left": 2}
            assert shown["jobs_per_hour"]["limit"] is None

    async def test_a_hopeless_upload_is_not_even_begun(self, pair: Pair) -> None:
        account, spent = await pair.account(), await pair.account()
        await pair.limit(account, jobs_per_month=0)
        await pair.limit(spent, budget_usd=0.5)
        await pair.used(spent, usd=0.5)
        before = pair.one.stored()
        for owner, status, kind in ((account, 429, "quota-exceeded"), (spent, 402, "budget-used-up")):
            headers = {**RESUMABLE, "Upload-Length": "100"}
            async with as_account(pair.one, owner) as http, http.post(UPLOADS, headers=headers) as answer:
                await problem(answer, status, kind)
                assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert pair.one.stored() == before
        async with as_account(pair.one, account) as http:
            await create(http, 100, **metadata(hold=None))  # a batch waits until there is room
        async with as_account(pair.one, spent) as http:
            await create(http, 100, **metadata(options='{"provider": "pocketsphinx"}'))

    async def test_the_operator_and_other_accounts_are_not_held_back(self, pair: Pair) -> None:
        account, neighbour = await pair.account(), await pair.account()
        await pair.limit(account, jobs_per_month=0)
        async with as_account(pair.one, account) as http, http.post("/v1/jobs", data=SOUND) as answer:
            document = await problem(answer, 429, "quota-exceeded")
            assert int(answer.headers["Retry-After"]) > 0
            assert document["resets_at"].endswith("-01T00:00:00+00:00")
        async with as_account(pair.one, neighbour) as http, http.post("/v1/jobs", data=SOUND) as answer:
            assert answer.status == 202
        async with pair.one.http.post("/v1/jobs", data=SOUND) as answer:
            assert (answer.status, "RateLimit" in answer.headers) == (202, False)
        async with pair.one.http.get("/v1/limits") as answer:
            shown = await answer.json()
            assert (shown["plan"], shown["jobs_per_hour"]["limit"], shown["resets_at"]) == ("operator", None, None)

    async def test_a_spent_budget_lets_only_through_what_costs_nothing(self, pair: Pair) -> None:
        account = await pair.account()
        await pair.limit(account, budget_usd=0.5)
        await pair.used(account, usd=0.5)
        job = uuid4()
        async with as_account(pair.one, account) as http:
            for data in (SOUND, form(SOUND)):
                async with http.post("/v1/jobs", data=data) as answer:
                    document = await problem(answer, 402, "budget-used-up")
                    assert (document["budget_usd"], document["used_usd"]) == (0.5, 0.5)
            async with http.post("/v1/jobs", data=SOUND, params={"provider": "pocketsphinx"}) as answer:
                assert answer.status == 202
                job = UUID((await answer.json())["id"])
            async with http.get("/v1/limits") as answer:
                shown = await answer.json()
        assert (shown["budget_usd"]["left"], shown["jobs_per_month"]["used"]) == (0, 1)
        [event] = await pair.one.events(str(job), "upload.received.interactive")
        assert isinstance(event, UploadReceived)


class TestAdmin:
    async def test_limits_are_an_admins_to_change(self, pair: Pair) -> None:
        account = await pair.account("pro")
        path = f"/v1/admin/accounts/{account}/limits"
        changed = await pair.limit(account, jobs_per_hour=9, budget_usd="unlimited")
        assert (changed["plan"], changed["changed"]) == ("pro", ["budget_usd", "jobs_per_hour"])
        assert (changed["limits"]["jobs_per_hour"], changed["limits"]["budget_usd"]) == (9, None)
        assert (await pair.limit(account, jobs_per_hour=None, budget_usd=None))["changed"] == []
        async with pair.other.http.get("/v1/admin/audit", params={"action": "account.limits", "limit": "1"}) as answer:
            assert answer.status == 200, await answer.text()
            [line] = (await answer.json())["lines"]
        assert line["details"] == {"account": account, "limits": {"jobs_per_hour": None, "budget_usd": None}}
        async with pair.other.http.get(path) as answer:
            assert (await answer.json())["limits"]["jobs_per_hour"] == 500
        async with as_account(pair.one, account) as http:
            for request in (http.get(path), http.patch(path, json={"jobs_per_hour": 9999})):
                async with request as answer:
                    await problem(answer, 403, "forbidden")
        for body, field in (
            ({"jobs_per_hour": 0}, "jobs_per_hour"),
            ({"budget_usd": float("nan")}, "budget_usd"),
            ({"calls": 1}, "calls"),
        ):
            async with pair.one.http.patch(path, json=body) as answer:
                assert (await problem(answer, 422, "invalid-request"))["errors"][0]["field"].startswith(field)
        async with pair.one.http.patch(f"/v1/admin/accounts/{uuid4()}/limits", json={}) as answer:
            await problem(answer, 404, "not-found")


class TestUsage:
    async def test_it_is_told_in_sums_and_act_by_act_to_its_owner(self, pair: Pair) -> None:
        account, stranger = await pair.account(), await pair.account()
        at = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
        for n in range(5):
            await pair.used(account, usd=0.01, seconds=60, at=at + timedelta(seconds=n))
        await pair.used(account, usd=0.5, service="translation", provider="openai", tokens=900, model="m", at=at)
        days = {"since": "2026-03-31", "until": "2026-04-01"}
        async with as_account(pair.one, account) as http:
            async with http.get("/v1/usage", params=days) as answer:
                shown = await answer.json()
            total = {"calls": 6, "audio_duration_seconds": 300, "tokens_used": 900, "cost_usd": 0.55}
            assert (shown["user"], shown["total"]) == (account, total)
            assert [(group["name"], group["calls"]) for group in shown["groups"]] == [
                ("transcription", 5),
                ("translation", 1),
            ]
            async with http.get("/v1/usage", params=days | {"by": "day"}) as answer:
                groups = (await answer.json())["groups"]
            assert [(group["name"], group["calls"]) for group in groups] == [("2026-03-31", 2), ("2026-04-01", 4)]
            async with http.get("/v1/usage", params={"until": "2026-04-01", "by": "provider"}) as answer:
                assert (await answer.json())["total"]["calls"] == 4
            async with http.get("/v1/usage") as answer:
                assert (await answer.json())["total"]["calls"] == 0

            seen: list[dict[str, Any]] = []
            cursor: dict[str, str] = {}
            while True:
                async with http.get("/v1/usage/records", params=days | {"limit": "2"} | cursor) as answer:
                    page = await answer.json()
                seen += page["records"]
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
        assert len({record["id"] for record in seen}) == 6
        assert [record["timestamp"] for record in seen] == sorted((r["timestamp"] for r in seen), reverse=True)
        assert {"user", "service", "endpoint", "audio_duration_seconds", "tokens_used", "cost_usd"} <= seen[0].keys()
        assert {record["user"] for record in seen} == {account}

        async with as_account(pair.one, stranger) as http:
            async with http.get("/v1/usage/records", params=days) as answer:
                assert (await answer.json())["records"] == []
            for path in ("/v1/usage", "/v1/usage/records"):
                async with http.get(path, params=days | {"user": account}) as answer:
                    await problem(answer, 403, "forbidden")
        async with pair.one.http.get("/v1/usage", params=days | {"user": account}) as answer:
            assert (await answer.json())["total"]["calls"] == 6

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"since": "2026-04-02", "until": "2026-04-01"}, "since"),
            ({"since": "2020-01-01", "until": "2026-04-01"}, "since"),
            ({"until": "9999-12-31"}, "since"),
            ({"since": "yesterday"}, "since"),
            ({"until": "1795000000"}, "until"),
            ({"by": "colour"}, "by"),
            ({"cursor": "x"}, "cursor"),
            ({"user": "\0"}, "user"),
        ],
    )
    async def test_a_bad_question_names_the_field(self, pair: Pair, query: dict[str, str], field: str) -> None:
        path = "/v1/usage/records" if field == "cursor" else "/v1/usage"
        async with pair.one.http.get(path, params=query) as answer:
            assert (await problem(answer, 422, "invalid-request"))["errors"][0]["field"] == field


class TestRetention:
    async def test_what_is_due_is_erased_as_by_delete_and_nothing_else(self, pair: Pair) -> None:
        keeps, erases = await pair.account("free"), await pair.account("pro")
        shorter = await pair.account("free")
        await pair.limit(shorter, retention_days=2)
        now = datetime.now(UTC)

        async def ended(owner: str, days: float | None, *, began: float = 40) -> UUID:
            job = uuid4()
            await pair.one.sql(
                "INSERT INTO jobs (id, owner, lane, created_at, finished_at) VALUES ($1, $2, 'bulk', $3, $4)",
                *(job, owner, now - timedelta(days=began), None if days is None else now - timedelta(days=days)),
            )
            return job

        stays = {
            await ended(keeps, 4000, began=4001),
            await ended(erases, 29.9),
            await ended(erases, None),
            await ended(shorter, 1.9),
            await ended("operator", 400, began=401),
        }
        due = {await ended(erases, 30.1), await ended(shorter, 2.1)} | {await ended(erases, 31) for _ in range(130)}

        async def asked() -> set[UUID]:
            found = [event for job in due | stays for event in controls if event.job_id == job]
            assert all(isinstance(event, JobControl) and event.action == "delete" for event in found)
            return {event.job_id for event in found}

        async def all_asked() -> bool:
            nonlocal controls
            controls = await controls_of(pair.one)
            return due <= await asked()

        controls: list[JobControl] = []
        assert await eventually(all_asked, 40, every=0.5)
        # Both gateways have gone over everybody's at least once more by when a job that is due only now is asked for.
        due.add(await ended(erases, 32))
        assert await eventually(all_asked, 40, every=0.5)
        assert await asked() == due
        assert {event.owner for event in controls if event.job_id in due} == {erases, shorter}


async def controls_of(gateway: RunningGateway) -> list[JobControl]:
    """Every word about a job on the log."""
    from common.bus.follow import read_to_end

    found = [item.event async for item in read_to_end(gateway.kafka, ("job.control",))]
    return [event for event in found if isinstance(event, JobControl)]

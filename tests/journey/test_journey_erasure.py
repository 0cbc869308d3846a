"""A person ends their account: what they exported is all they had, and then it is looked for everywhere."""

import asyncio
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from common.bus.follow import read_to_end
from common.events import ProofDeleted
from support import tones
from support.fake_deepgram import FakeDeepgram
from support.fake_openai_chat import fake_chat
from support.fleet import Fleet, running_fleet
from support.forgetting import CLEANS_AT_ONCE, forget_now, raw_log
from support.platform import running_kafka, running_postgres
from support.receiver import receiver
from support.thread_loop import ThreadLoop
from support.waiting import until

PASSWORD = "Heron-and-Reed-7"
ENDED = {"completed", "failed"}


@dataclass
class Person:
    """Somebody with an account, and what is typical of them."""

    name: str
    http: httpx.Client
    owner: str = ""
    key: str = ""
    secret: str = ""
    spoken: str = ""

    @property
    def canaries(self) -> list[bytes]:
        """Texts that are nobody else's: names, addresses, what they called and said."""
        texts = [f"{self.name}-surname", f"{self.name}@example.org", f"{self.name}-talk", self.spoken]
        return [text.encode() for text in texts if text]

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int, **body: Any) -> Any:
        answer = self.http.post(path, **body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def status(self, job: dict[str, Any]) -> str:
        return str(self.get(f"/v1/jobs/{job['id']}")["status"])

    def arrive(self, hook: str) -> None:
        """Register, make a key, and have results sent somewhere."""
        answer = self.post(
            "/auth/register",
            201,
            json={
                "email": f"{self.name}@example.org",
                "username": f"{self.name}-user",
                "password": PASSWORD,
                "last_name": f"{self.name}-surname",
                "gdpr_consent": True,
                "data_retention_agreed": True,
            },
        )
        self.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self.owner = self.get("/v1/account")["id"]
        self.key = self.post("/v1/keys", 201, json={"name": f"{self.name}-laptop"})["key"]
        self.secret = self.post("/v1/webhooks", 201, json={"url": f"{hook}/{self.name}-hook"})["secret"]

    def work(self) -> None:
        """Two jobs: one is transcribed and translated, one is no media."""
        jobs = [
            self.post(
                "/v1/jobs",
                202,
                files={"file": (f"{self.name}-talk.wav", recording(self.name))},
                data={"provider": "deepgram", "translate": "es", "translator": "openai"},
            ),
            self.post("/v1/jobs", 202, files={"file": (f"{self.name}-talk.txt", b"no media at all")}),
        ]
        for job in jobs:
            until(lambda job=job: self.status(job) in ENDED, seconds=60, why="the job has ended")
        assert sorted(self.status(job) for job in jobs) == ["completed", "failed"]
        self.spoken = self.get(f"/v1/jobs/{jobs[0]['id']}/transcript")["text"]
        assert len(self.spoken.split()) > 3


def recording(name: str) -> bytes:
    """A few seconds that nobody else sends."""
    return tones.recording(len(name))


@pytest.fixture(scope="module")
def loop() -> Iterator[ThreadLoop]:
    loop = ThreadLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def fleet(loop: ThreadLoop) -> Iterator[Fleet]:
    """The six services on a Kafka that cleans its logs at once, and providers of ours."""
    with (
        loop.entered(FakeDeepgram()) as engine,
        loop.entered(fake_chat()) as chat,
        tempfile.TemporaryDirectory(prefix="scribewire-erasure-") as folder,
        running_kafka(properties=CLEANS_AT_ONCE) as kafka,
        running_postgres() as postgres,
    ):
        Path(folder).chmod(0o711)  # the decoder's user must be able to pass through
        env = {
            "DEEPGRAM_API_KEY": engine.key,
            "DEEPGRAM_BASE_URL": engine.url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": chat.url,
        }
        with running_fleet(Fleet(Path(folder), kafka=kafka.bootstrap, dsn=postgres.dsn, env=env)) as fleet:
            yield fleet


@pytest.fixture(scope="module")
def hook(loop: ThreadLoop) -> Iterator[str]:
    with loop.entered(receiver()) as listening:
        yield listening.url


@pytest.fixture(scope="module")
def people(fleet: Fleet, hook: str) -> Iterator[tuple[Person, Person]]:
    """One who will go and one who stays, both with results; the log knows both."""
    with httpx.Client(base_url=fleet.urls[0], timeout=30) as one, httpx.Client(base_url=fleet.urls[0]) as other:
        ann, ben = Person("annabel", one), Person("ben", other)
        for person in (ann, ben):
            person.arrive(hook)
            person.work()
        yield ann, ben


def test_the_export_has_everything_and_nothing_of_anybody_else(people: tuple[Person, Person]) -> None:
    ann, ben = people
    answer = ann.http.get("/v1/account/export")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    file = zipfile.ZipFile(io.BytesIO(answer.content))
    assert file.testzip() is None
    inside = {name: file.read(name) for name in file.namelist()}
    (recorded,) = [content for name, content in inside.items() if name.endswith("recording.wav")]
    assert recorded == recording(ann.name)
    (said,) = [content for name, content in inside.items() if name.endswith("/transcript.txt")]
    assert " ".join(said.decode().split()) == " ".join(ann.spoken.split())
    assert any(name.endswith("/translation.es.txt") for name in inside)
    account = json.loads(inside["account.json"])
    assert (account["email"], account["last_name"]) == ("annabel@example.org", "annabel-surname")
    assert {line["kind"] for line in json.loads(inside["consents.json"])} >= {"gdpr_consent", "data_retention_agreed"}
    assert inside["jobs.csv"].decode().count("annabel-talk") == 2
    assert b"account.registered" in inside["activity.csv"]
    assert b"deepgram" in inside["usage.csv"]
    every = b"\n".join(inside.values())
    assert not [text for text in ben.canaries if text in every]
    for secret in (ann.key, ann.secret, PASSWORD):
        assert secret.encode() not in every
    assert "README.txt" in inside


def test_after_the_end_nothing_is_found_anywhere(fleet: Fleet, people: tuple[Person, Person]) -> None:
    ann, ben = people
    before = b"".join(asyncio.run(raw_log(fleet.kafka)).values())
    assert [text for text in ann.canaries if text in before] == [b"annabel-talk", ann.spoken.encode()]

    answer = ann.http.delete("/v1/account")
    assert answer.status_code in {202, 204}, answer.text

    until(lambda: proofs(fleet, ann.owner), seconds=60, why="it is proved that nothing is left")
    (proof,) = proofs(fleet, ann.owner)
    assert (proof.jobs, proof.rows >= 1) == (2, True)
    left = asyncio.run(forget_now(fleet.kafka, *ann.canaries))
    assert ben.spoken.encode() in left["transcript.completed"]
    assert ann.owner.encode() not in left["transcript.completed"]

    rows = asyncio.run(dump(fleet.dsn))
    everything = "\n".join(line for lines in rows.values() for line in lines)
    assert not [text for text in ann.canaries if text.decode() in everything]
    named = {table for table, lines in rows.items() if any(ann.owner in line for line in lines)}
    assert named == {"erased_accounts", "audit_log"}
    assert ben.spoken in everything

    blobs = [path for path in (fleet.folder / "blobs").rglob("*") if path.is_file()]
    assert not [path for path in blobs if ann.owner in str(path)]
    assert not [path for path in blobs for text in ann.canaries if text in path.read_bytes()]
    assert [path for path in blobs if ben.owner in str(path)]

    logs = b"".join(path.read_bytes() for path in (fleet.folder / "logs").glob("*.log"))
    assert not [text for text in ann.canaries + ben.canaries if text in logs]


def test_nobody_comes_in_with_what_was_theirs(people: tuple[Person, Person]) -> None:
    ann, ben = people

    def shut_out() -> bool:
        answer = ann.http.get("/v1/account")
        print(answer.status_code, answer.text[:200])
        return answer.status_code == 401

    until(shut_out, seconds=10, why="the session is not let in")
    assert ann.http.get("/v1/jobs", headers={"Authorization": f"Bearer {ann.key}"}).status_code == 401
    login = {"login": "annabel@example.org", "password": PASSWORD}
    assert ann.http.post("/auth/login", json=login).status_code == 401
    assert len(ben.get("/v1/jobs")["jobs"]) == 2
    ben.http.headers["Authorization"] = f"Bearer {ben.key}"
    assert len(ben.get("/v1/jobs")["jobs"]) == 2


def proofs(fleet: Fleet, owner: str) -> list[ProofDeleted]:
    """Every proof that an account is gone."""

    async def read() -> list[ProofDeleted]:
        found = [item.event async for item in read_to_end(fleet.kafka, ["proof.deleted"])]
        return [event for event in found if isinstance(event, ProofDeleted) and event.account and event.owner == owner]

    return asyncio.run(read())


async def dump(dsn: str) -> dict[str, list[str]]:
    """Every row of every table as text."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {
            table: [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} AS t")]
            for (table,) in tables
        }
    finally:
        await connection.close()

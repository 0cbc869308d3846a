"""Jobs from addresses at the gateway: the address is stored, its secrets stay there, and bad ones are refused."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common import layout
from common.address import Address
from common.events import BlobRef, UploadReceived
from common.options import JobOptions
from scribewire.client import Client
from scribewire.config import Gateway
from support.gateway import KEY, RunningGateway, form, prepare, problem, running_gateway
from support.inner import INNER
from support.platform import fresh_database

SECRET = "s3cret%2Btoken"
URL = f"https://media.example.com:8443/talks/%C3%9Cber%20uns.mp3?sv=1&sig={SECRET}#t=1"
SHOWN = "https://media.example.com:8443/talks/%C3%9Cber%20uns.mp3"


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("gateway")
    async with running_gateway(kafka_bootstrap, dsn, folder, reuse=True) as running:
        yield running


async def upload_of(gateway: RunningGateway, job: str) -> UploadReceived:
    [event] = await gateway.events(job, "upload.received.interactive", "upload.received.bulk")
    assert isinstance(event, UploadReceived)
    return event


async def test_an_address_becomes_a_job_and_its_secret_is_in_one_blob_only(
    gateway: RunningGateway, capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"url": URL, "options": {"language": "en-US", "punctuate": False, "priority": "bulk"}}
    async with gateway.http.post("/v1/jobs", json=body) as answer:
        accepted = await answer.text()
        assert answer.status == 202, accepted
        job = json.loads(accepted)
        assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    async with gateway.http.get(f"/v1/jobs/{job['id']}") as answer:
        row = await answer.text()
    async with gateway.http.get("/v1/jobs") as answer:
        listed = await answer.text()
    for shown in (job, json.loads(row)):
        assert (shown["url"], shown["filename"], shown["priority"]) == (SHOWN, "Über uns.mp3", "bulk")
        assert (shown["size"], shown["sha256"], shown["status"]) == (None, None, "queued")

    event = await upload_of(gateway, job["id"])
    assert (event.remote, event.address, event.same_as) == (True, SHOWN, None)
    assert event.options == JobOptions(language="en-US", punctuate=False, priority="bulk")
    content = (gateway.blobs / event.source.name).read_bytes()
    assert Address.model_validate_json(content).url == URL
    assert event.sha256 == hashlib.sha256(content).hexdigest()
    assert event.source.name in layout.address("operator", event.job_id, event.sha256)

    told = [accepted, row, listed, event.model_dump_json(), *capfd.readouterr()]
    assert not [text for text in told if "s3cret" in text]
    holding = [name for name in gateway.stored() if b"s3cret" in (gateway.blobs / name).read_bytes()]
    assert holding == [event.source.name]


async def test_the_client_sends_an_address_with_its_options(gateway: RunningGateway) -> None:
    def submit() -> str:
        with Client(Gateway(gateway.url, KEY)) as client:
            return str(client.submit_url(URL, {"punctuate": "false", "translate": ["es"]})["id"])

    event = await upload_of(gateway, await asyncio.to_thread(submit))
    assert event.options == JobOptions(punctuate=False, translate=("es",))
    assert (event.address, event.idempotent) == (SHOWN, True)


async def test_what_was_fetched_is_shown_live(gateway: RunningGateway) -> None:
    async with gateway.http.post("/v1/jobs", json={"url": URL}) as answer:
        job = await answer.json()
    event = await upload_of(gateway, job["id"])
    digest = "7" * 64
    source = BlobRef(name=layout.original(event.owner, event.job_id, digest), size=77)
    await gateway.record(job["id"], size=source.size, sha256=digest, source_blob=source.name)
    shown = await gateway.job(job["id"])
    assert (shown["size"], shown["sha256"], shown["url"]) == (77, digest, SHOWN)


async def test_the_same_key_is_one_job_and_another_address_is_refused(gateway: RunningGateway) -> None:
    headers = {"Idempotency-Key": "one-address"}
    async with gateway.http.post("/v1/jobs", json={"url": URL}, headers=headers) as answer:
        first = await answer.json()
        assert answer.status == 202
    before = gateway.stored()
    async with gateway.http.post("/v1/jobs", json={"url": URL, "options": {}}, headers=headers) as answer:
        assert (answer.status, (await answer.json())["id"]) == (202, first["id"])
    for body in ({"url": URL + "2"}, {"url": URL, "options": {"punctuate": False}}):
        async with gateway.http.post("/v1/jobs", json=body, headers=headers) as answer:
            await problem(answer, 422, "idempotency-key-reused")
    async with gateway.http.post("/v1/jobs", data=form(b"RIFF"), headers=headers) as answer:
        await problem(answer, 422, "idempotency-key-reused")
    assert gateway.stored() == before
    await upload_of(gateway, first["id"])


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({}, "url", "is missing"),
        ({"url": 7}, "url", "must be text"),
        ({"url": ""}, "url", "at least 1"),
        ({"url": "https://h/" + "x" * 2000}, "url", "at most 2000"),
        ({"url": "https://h/" + "ü" * 1000}, "url", "at most 2000"),
        ({"url": "ftp://example.com/a.wav"}, "url", "http or https"),
        ({"url": "file:///etc/passwd"}, "url", "http or https"),
        ({"url": "https://user:s3cret@example.com/a.wav"}, "url", "user name"),
        ({"url": "https://example.com/a b"}, "url", "spaces"),
        ({"url": "https://example.com/\r\nX: y"}, "url", "spaces"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, "url", "public"),
        ({"url": URL, "language": "en"}, "language", "is unknown; there are url, options"),
        ({"url": URL, "options": None}, "options", "must be a JSON object"),
        ({"url": URL, "options": {"colour": "red"}}, "options.colour", "is unknown; there are language"),
        ({"url": URL, "options": {"language": "!!"}}, "options.language", "must be a language tag"),
        ({"url": URL, "options": {"keyterms": ["a\u202eb"]}}, "options.keyterms", "cannot be shown"),
        ({"url": URL, "options": {"provider": "nobody"}}, "provider", ""),
        ({"url": URL, "options": {"callback_url": "http://localhost/"}}, "callback_url", "public"),
        ([], "body", "must be a JSON object"),
        ("text", "body", "must be a JSON object"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_field(
    gateway: RunningGateway, body: object, field: str, says: str
) -> None:
    before = gateway.stored()
    async with gateway.http.post("/v1/jobs", json=body) as answer:
        text = await answer.text()
        assert answer.status == 422, text
    [error] = json.loads(text)["errors"]
    assert error["field"] == field
    assert says in error["message"]
    assert "s3cret" not in text
    assert gateway.stored() == before


async def test_what_is_no_json_or_has_options_beside_it_is_refused(gateway: RunningGateway) -> None:
    before = gateway.stored()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    async with gateway.http.post("/v1/jobs", data=b"RIFF", headers=headers) as answer:
        await problem(answer, 400, "malformed-request")
    async with gateway.http.post("/v1/jobs?language=en", json={"url": URL}) as answer:
        document = await problem(answer, 422, "invalid-request")
    assert document["errors"] == [{"field": "language", "message": "belongs into 'options' of the body"}]
    assert gateway.stored() == before


async def test_no_inner_address_is_taken(gateway: RunningGateway) -> None:
    before = gateway.stored()
    for host in INNER:
        async with gateway.http.post("/v1/jobs", json={"url": f"http://{host}/a.wav"}) as answer:
            assert answer.status == 422, host
    assert gateway.stored() == before


async def test_private_addresses_are_taken_where_that_is_switched_on(
    kafka_bootstrap: str, gateway: RunningGateway, tmp_path: Path
) -> None:
    async with (
        running_gateway(kafka_bootstrap, gateway.dsn, tmp_path, fetch_allow_private=True) as lenient,
        lenient.http.post("/v1/jobs", json={"url": "http://127.0.0.1:9/a.wav"}) as answer,
    ):
        assert answer.status == 202

"""What is hardly HTTP gets a problem like every other error, and never its own bytes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.gateway import DEAD_DSN, KEY, RunningGateway, prepare, running_gateway
from support.platform import fresh_database
from support.wire import RawAnswer, Wire

AUTH = f"Authorization: Bearer {KEY}\r\n".encode()
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, tmp_path_factory.mktemp("wire"), max_file_size_mb=1) as running:
        yield running


@asynccontextmanager
async def wire(gateway: RunningGateway) -> AsyncIterator[Wire]:
    opened = await Wire.open(gateway.url)
    try:
        yield opened
    finally:
        await opened.close()


async def answer(gateway: RunningGateway, request: bytes) -> RawAnswer:
    async with wire(gateway) as opened:
        await opened.send(request)
        return await opened.answer()


@pytest.mark.parametrize(
    ("request_", "status", "kind", "says"),
    [
        (HEAD + b"X-Filename: MARK\0.wav\r\n\r\n", 400, "malformed-request", "X-Filename"),
        (HEAD + b"X-Filename: MARK\x1b[2J.wav\r\n\r\n", 400, "malformed-request", "X-Filename"),
        (HEAD + b"X-Filename: " + b"MARK" * 3000 + b"\r\n\r\n", 431, "headers-too-large", "8192 bytes"),
        (HEAD + b"X-A: MARK\r\n" * 200 + b"\r\n", 431, "headers-too-large", "128 headers"),
        (b"GET /v1/jobs?" + b"MARK" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "address-too-long", "8190 bytes"),
        (b"MARK /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method-not-allowed", "method"),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nMARK", 400, "malformed-request", "Content-Length"),
        (HEAD + b"Content-Length: MARK\r\n\r\n", 400, "malformed-request", "Content-Length"),
        (HEAD + b"Transfer-Encoding: MARK\r\n\r\n", 400, "malformed-request", ""),
        (b"POST /v1/jobs HTTP/1.1\r\nX-A: MARK\r\n\r\n", 400, "malformed-request", "Host"),
        (b"GET /v1/jobs HTTP/MARK\r\nHost: x\r\n\r\n", 400, "malformed-request", "HTTP"),
        (b"\x16\x03\x01\x02\x00MARK\r\n\r\n", 405, "method-not-allowed", ""),
        (HEAD + AUTH + b"Transfer-Encoding: chunked\r\n\r\nMARK\r\n", 400, "malformed-request", ""),
        (HEAD + AUTH + b"Expect: MARK\r\nContent-Length: 3\r\n\r\nabc", 417, "expectation-failed", "100-continue"),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: MARK\r\n\r\n", 417, "expectation-failed", "100-continue"),
    ],
)
async def test_what_cannot_be_read_is_a_problem(
    gateway: RunningGateway, request_: bytes, status: int, kind: str, says: str
) -> None:
    before = gateway.stored()
    found = await answer(gateway, request_)
    document = found.problem(status, kind)
    assert says in document["detail"]
    assert b"MARK" not in found.body
    assert gateway.stored() == before


async def test_an_unknown_method_is_told_which_there_are(gateway: RunningGateway) -> None:
    found = await answer(gateway, b"FOO /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


async def test_a_key_that_is_not_utf_8_is_a_wrong_key(gateway: RunningGateway) -> None:
    for header in (b"Authorization: Bearer \xff\xfe", b"Authorization: \xff \xff", b"x-api-key: \xff"):
        found = await answer(gateway, b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        found.problem(401, "unauthorized")


class TestEncoded:
    @pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"zstd", b"MARK", b"identity, GZIP"])
    async def test_an_encoded_upload_is_refused_before_its_body(self, gateway: RunningGateway, coding: bytes) -> None:
        request = HEAD + AUTH + b"Content-Length: 9000\r\nContent-Encoding: " + coding + b"\r\n\r\n"
        document = (found := await answer(gateway, request)).problem(415, "unsupported-encoding")
        assert "Content-Encoding" in document["detail"]
        assert found.headers["accept-encoding"] == "identity"

    async def test_so_are_forms_and_documents(self, gateway: RunningGateway) -> None:
        for path, kind in (("/v1/jobs", "multipart/form-data; boundary=b"), ("/v1/webhooks", "application/json")):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Encoding: gzip\r\n".encode()
            found = await answer(gateway, head + AUTH + b"Content-Length: 3\r\n\r\nabc")
            found.problem(415, "unsupported-encoding")

    async def test_identity_is_no_encoding(self, gateway: RunningGateway) -> None:
        found = await answer(gateway, HEAD + AUTH + b"Content-Encoding: Identity\r\nContent-Length: 3\r\n\r\nabc")
        assert found.status == 202


class TestExpected:
    """A client that waits for 100 before it sends its body."""

    WAITS = b"Expect: 100-continue\r\n"

    async def test_what_will_be_refused_is_not_asked_for(self, gateway: RunningGateway) -> None:
        for headers, status, kind in (
            (b"Content-Length: 3\r\n", 401, "unauthorized"),
            (AUTH + b"Content-Length: 900000000\r\n", 413, "too-large"),
            (AUTH + b"Content-Length: 3\r\nIdempotency-Key: \r\n", 422, "invalid-request"),
            (AUTH + b"Content-Length: 3\r\nContent-Encoding: gzip\r\n", 415, "unsupported-encoding"),
        ):
            found = await answer(gateway, HEAD + self.WAITS + headers + b"\r\n")
            found.problem(status, kind)
            assert found.before == []

    async def test_a_large_document_is_not_asked_for(self, gateway: RunningGateway) -> None:
        head = b"POST /v1/webhooks HTTP/1.1\r\nHost: x\r\n" + AUTH + self.WAITS
        found = await answer(gateway, head + b"Content-Length: 900000000\r\n\r\n")
        found.problem(413, "too-large")
        assert found.before == []

    async def test_what_is_wanted_is_asked_for_once(self, gateway: RunningGateway) -> None:
        async with wire(gateway) as opened:
            await opened.send(HEAD + AUTH + self.WAITS + b"Content-Length: 5\r\n\r\n")
            assert (await opened.head())[0] == 100
            await opened.send(b"sound")
            found = await opened.answer()
        assert (found.status, found.before) == (202, [])

    async def test_so_is_a_document(self, gateway: RunningGateway) -> None:
        async with wire(gateway) as opened:
            head = b"POST /v1/webhooks HTTP/1.1\r\nHost: x\r\n" + AUTH + self.WAITS
            await opened.send(head + b"Content-Length: 2\r\n\r\n")
            assert (await opened.head())[0] == 100
            await opened.send(b"{}")
            (await opened.answer()).problem(422, "invalid-request")


class TestSlow:
    async def test_half_a_head_is_not_waited_for(self, gateway: RunningGateway, tmp_path: Path) -> None:
        async with running_gateway(gateway.kafka, DEAD_DSN, tmp_path, idle_seconds=0.3) as hasty:
            async with wire(hasty) as opened:
                await opened.send(b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-A: ")
                assert await opened.ended(5)
            async with wire(hasty) as opened:
                await opened.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await opened.answer()).status == 200
                await opened.send(b"GET /heal")
                assert await opened.ended(5)

    async def test_a_trickle_is_no_upload(self, gateway: RunningGateway, tmp_path: Path) -> None:
        async with running_gateway(gateway.kafka, DEAD_DSN, tmp_path, upload_stall_seconds=0.5) as hasty:
            async with wire(hasty) as opened:
                await opened.send(HEAD + AUTH + b"Content-Length: 500000\r\n\r\n")

                async def trickle() -> None:
                    while True:
                        await opened.send(b"x")
                        await asyncio.sleep(0.05)

                trickling = asyncio.create_task(trickle())
                try:
                    (await opened.answer()).problem(408, "stalled")
                finally:
                    trickling.cancel()
            assert hasty.stored() == []

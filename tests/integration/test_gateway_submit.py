"""Uploads: what is taken becomes bytes, an event and a row; what is not gets a clear answer and leaves nothing."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from multidict import CIMultiDict

from common.events import UploadReceived
from common.options import JobOptions
from support.gateway import DEAD_DSN, KEY, RunningGateway, form, prepare, problem, running_gateway
from support.platform import fresh_database
from support.waiting import eventually

SOUND = b"RIFF" + bytes(range(256)) * 8
SHA = hashlib.sha256(SOUND).hexdigest()
LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("gateway")
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(kafka_bootstrap, dsn, folder, max_file_size_mb=1) as running:
        yield running


@pytest.fixture
def before(gateway: RunningGateway) -> list[str]:
    """What is stored before the test."""
    return gateway.stored()


async def upload_of(gateway: RunningGateway, job: str) -> UploadReceived:
    """The one upload event of a job."""
    [event] = await gateway.events(job, "upload.received.interactive", "upload.received.bulk")
    assert isinstance(event, UploadReceived)
    return event


class TestTaken:
    async def test_a_form_becomes_bytes_an_event_and_a_row(self, gateway: RunningGateway) -> None:
        async with gateway.http.post("/v1/jobs", data=form(SOUND, name="talk.wav", priority="bulk")) as answer:
            job = await answer.json()
            assert answer.status == 202
            assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
        assert (job["status"], job["filename"], job["size"], job["sha256"]) == ("queued", "talk.wav", len(SOUND), SHA)
        assert (job["priority"], job["error"], job["content_type"]) == ("bulk", None, "audio/wav")

        event = await upload_of(gateway, job["id"])
        assert event.topic == "upload.received.bulk"
        assert (event.owner, event.sha256, event.plan.provider) == ("operator", SHA, "pocketsphinx")
        assert event.source.name == f"users/operator/originals/{job['id']}/{SHA}"
        assert (gateway.blobs / event.source.name).read_bytes() == SOUND

        async with gateway.http.get(job["links"]["self"]) as answer:
            shown = await answer.json()
        assert shown["id"] == job["id"]
        assert shown["status"] == "queued"
        assert shown["filename"] == "talk.wav"

    async def test_a_body_is_a_file_with_options_in_the_query(self, gateway: RunningGateway) -> None:
        async with gateway.http.post(
            "/v1/jobs",
            params={"language": "en-US", "punctuate": "false"},
            data=SOUND,
            headers={"X-Filename": quote("Gespräch №1.wav"), "Content-Type": "audio/x-wav"},
        ) as answer:
            job = await answer.json()
            assert answer.status == 202, job
        assert job["filename"] == "Gespräch №1.wav"
        event = await upload_of(gateway, job["id"])
        assert event.options == JobOptions(language="en-US", punctuate=False)
        assert event.content_type == "audio/x-wav"

    async def test_a_field_after_the_file_counts(self, gateway: RunningGateway) -> None:
        data = form(SOUND)
        data.add_field("profanity", "raw")
        data.add_field("priority", "bulk")
        async with gateway.http.post("/v1/jobs", data=data) as answer:
            job = await answer.json()
        assert job["priority"] == "bulk"

    async def test_a_file_of_exactly_the_limit_is_taken(self, gateway: RunningGateway) -> None:
        body = b"x" * LIMIT
        assert (await gateway.submit(body))["size"] == LIMIT
        async with gateway.http.post("/v1/jobs", data=body) as answer:
            assert answer.status == 202

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("../../etc/passwd", "passwd"),
            ("..%2F..%2Fboot", "boot"),
            ("a\0b.wav", "ab.wav"),
            ("x" * 300 + ".wav", "x" * 251 + ".wav"),
            ("talk\u202evaw.exe", "talkvaw.exe"),
            ("..", None),
        ],
    )
    async def test_hostile_names_are_only_words(self, gateway: RunningGateway, sent: str, kept: str | None) -> None:
        name = sent if "%" in sent else quote(sent, safe="")
        async with gateway.http.post("/v1/jobs", data=SOUND, headers={"X-Filename": name}) as answer:
            job = await answer.json()
            assert answer.status == 202, job
        assert job["filename"] == kept
        event = await upload_of(gateway, job["id"])
        assert event.source.name == f"users/operator/originals/{job['id']}/{SHA}"
        async with gateway.http.get(f"/v1/jobs/{job['id']}") as answer:
            assert (await answer.json())["filename"] == kept

    async def test_an_encoded_name_in_a_form_is_read(self, gateway: RunningGateway) -> None:
        body = (
            b"--b\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%C3%9Cber.wav\r\n\r\n"
            + SOUND
            + b"\r\n--b--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        async with gateway.http.post("/v1/jobs", data=body, headers=headers) as answer:
            assert (await answer.json())["filename"] == "Über.wav"

    async def test_a_hostile_name_in_a_form_is_only_a_word(self, gateway: RunningGateway) -> None:
        body = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="../\x00../evil\xe2\x80\xae.wav"\r\n\r\n'
            + SOUND
            + b"\r\n--b--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        async with gateway.http.post("/v1/jobs", data=body, headers=headers) as answer:
            job = await answer.json()
            assert answer.status == 202, job
        assert job["filename"] == "evil.wav"


class TestRefused:
    """Each bad input, the answer a user gets, and nothing left behind."""

    async def refused(
        self, gateway: RunningGateway, before: list[str], status: int, kind: str, **request: object
    ) -> dict[str, object]:
        async with gateway.http.post("/v1/jobs", **request) as answer:  # type: ignore[arg-type]
            document = await problem(answer, status, kind)
        assert gateway.stored() == before
        return document

    async def test_no_file(self, gateway: RunningGateway, before: list[str]) -> None:
        data = form(None, language="en")
        data.add_field("priority", "bulk", content_type="text/plain")
        document = await self.refused(gateway, before, 422, "no-file", data=data)
        assert document["detail"] == "Send the file as a part named 'file', or as the body itself."

    async def test_two_files(self, gateway: RunningGateway, before: list[str]) -> None:
        data = form(SOUND)
        data.add_field("file", SOUND, filename="b.wav")
        await self.refused(gateway, before, 422, "no-file", data=data)

    async def test_an_empty_file(self, gateway: RunningGateway, before: list[str]) -> None:
        await self.refused(gateway, before, 422, "empty-file", data=form(b""))

    async def test_an_empty_body(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(gateway, before, 422, "empty-file")
        assert document["detail"] == "The file has no bytes."

    async def test_a_declared_size_over_the_limit(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(gateway, before, 413, "too-large", data=b"x" * (LIMIT + 1))
        assert document["limit_bytes"] == LIMIT

    async def test_a_file_in_a_form_over_the_limit(self, gateway: RunningGateway, before: list[str]) -> None:
        await self.refused(gateway, before, 413, "too-large", data=form(b"x" * (LIMIT + 1)))

    async def test_too_large_is_said_while_streaming(self, gateway: RunningGateway, before: list[str]) -> None:
        """The answer comes although the client never ends its body."""
        sent = 0
        forever = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent <= LIMIT:
                yield b"x" * 65536
                sent += 65536
            await forever.wait()

        async with asyncio.timeout(5):
            await self.refused(gateway, before, 413, "too-large", data=endless())

    async def test_an_unknown_option(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(gateway, before, 422, "invalid-request", data=form(SOUND, colour="red"))
        assert document["errors"] == [
            {"field": "colour", "message": f"is unknown; there are {', '.join(JobOptions.model_fields)}"}
        ]

    async def test_a_bad_value_after_the_file(self, gateway: RunningGateway, before: list[str]) -> None:
        data = form(SOUND)
        data.add_field("speakers", "many")
        document = await self.refused(gateway, before, 422, "invalid-request", data=data)
        assert [error["field"] for error in document["errors"]] == ["speakers"]  # type: ignore[attr-defined]

    async def test_a_bad_value_in_the_query(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(
            gateway, before, 422, "invalid-request", data=SOUND, params={"priority": "urgent"}
        )
        assert document["detail"] == "Not valid: priority."

    async def test_a_bad_option_is_refused_before_the_file_is_received(
        self, gateway: RunningGateway, before: list[str]
    ) -> None:
        forever = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await forever.wait()

        async with asyncio.timeout(5):
            await self.refused(gateway, before, 422, "invalid-request", data=endless(), params={"colour": "red"})

    async def test_a_value_before_the_file_is_refused_before_the_file_is_received(
        self, gateway: RunningGateway, before: list[str]
    ) -> None:
        forever = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="colour"\r\n\r\nred\r\n'
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            await forever.wait()

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        async with asyncio.timeout(5):
            await self.refused(gateway, before, 422, "invalid-request", data=endless(), headers=headers)

    async def test_what_nobody_can_do(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(gateway, before, 422, "unsupported", data=form(SOUND, provider="deepgram"))
        assert document["detail"] == "deepgram is not configured here: set DEEPGRAM_API_KEY."
        assert document["errors"] == [{"field": "provider", "message": document["detail"]}]

    async def test_a_translator_nobody_knows_even_without_a_translation(
        self, gateway: RunningGateway, before: list[str]
    ) -> None:
        document = await self.refused(gateway, before, 422, "unsupported", data=form(SOUND, translator="x"))
        assert [error["field"] for error in document["errors"]] == ["translator"]  # type: ignore[attr-defined]
        assert str(document["detail"]).startswith("There is no translation engine x; there is ")

    @pytest.mark.parametrize(("language", "target"), [("en", "en"), ("en-US", "EN-us"), ("en-US", "en")])
    async def test_a_translation_into_what_is_spoken(
        self, gateway: RunningGateway, before: list[str], language: str, target: str
    ) -> None:
        document = await self.refused(
            gateway, before, 422, "invalid-request", data=form(SOUND, language=language, translate=target)
        )
        assert document["errors"] == [{"field": "translate", "message": f"the recording is already in {language}"}]

    @pytest.mark.parametrize(
        ("part", "named"),
        [
            ("name=other; filename=a.wav", "other"),
            ("name=language; filename=x.txt", "language"),
            ("filename=a", "body"),
        ],
    )
    async def test_a_file_that_is_not_called_file(
        self, gateway: RunningGateway, before: list[str], part: str, named: str
    ) -> None:
        body = (
            f"--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n".encode()
            + b"--b\r\nContent-Disposition: form-data; name=file; filename=s.wav\r\n\r\nsound\r\n--b--\r\n"
        )
        document = await self.refused(
            gateway,
            before,
            422,
            "invalid-request",
            data=body,
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        message = "is a file, and the file is the part named 'file'"
        assert document["errors"] == [{"field": named, "message": message}]

    async def test_a_name_in_a_form_that_is_not_utf_8(self, gateway: RunningGateway, before: list[str]) -> None:
        body = b'--b\r\nContent-Disposition: form-data; name=file; filename="\xff.wav"\r\n\r\nsound\r\n--b--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        document = await self.refused(gateway, before, 400, "malformed-request", data=body, headers=headers)
        assert document["detail"] == "The multipart body is broken: Segment header failed to decode."

    async def test_two_idempotency_keys(self, gateway: RunningGateway, before: list[str]) -> None:
        keys = CIMultiDict([("Idempotency-Key", "one"), ("Idempotency-Key", "two")])
        document = await self.refused(gateway, before, 422, "invalid-request", data=SOUND, headers=keys)
        assert document["errors"] == [{"field": "Idempotency-Key", "message": "must be given once"}]

    async def test_a_callback_that_points_inside(self, gateway: RunningGateway, before: list[str]) -> None:
        document = await self.refused(
            gateway, before, 422, "invalid-request", data=form(SOUND, callback_url="http://169.254.169.254/x")
        )
        assert [error["field"] for error in document["errors"]] == ["callback_url"]  # type: ignore[attr-defined]

    async def test_a_form_that_ends_too_early(self, gateway: RunningGateway, before: list[str]) -> None:
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + SOUND
        await self.refused(
            gateway,
            before,
            400,
            "malformed-request",
            data=body,
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

    @pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=other"])
    async def test_a_form_without_its_boundary(self, gateway: RunningGateway, before: list[str], boundary: str) -> None:
        await self.refused(
            gateway,
            before,
            400,
            "malformed-request",
            data=b"--b\r\n\r\n",
            headers={"Content-Type": f"multipart/form-data{boundary}"},
        )

    async def test_junk_before_the_boundary_is_bounded(self, gateway: RunningGateway, before: list[str]) -> None:
        await self.refused(
            gateway,
            before,
            400,
            "malformed-request",
            data=_pieces(b"\r\n-" * 21845, 40),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

    async def test_thousands_of_fields(self, gateway: RunningGateway, before: list[str]) -> None:
        data = form(None)
        for _ in range(1000):
            data.add_field("keyterms", "x", content_type="text/plain")
        await self.refused(gateway, before, 400, "malformed-request", data=data)

    @pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ümlaut"])
    async def test_a_bad_idempotency_key(self, gateway: RunningGateway, before: list[str], key: str) -> None:
        document = await self.refused(
            gateway, before, 422, "invalid-request", data=SOUND, headers={"Idempotency-Key": key}
        )
        assert [error["field"] for error in document["errors"]] == ["Idempotency-Key"]  # type: ignore[attr-defined]

    async def test_a_client_that_leaves_halfway_leaves_nothing(
        self, gateway: RunningGateway, before: list[str]
    ) -> None:
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 900000\r\n\r\n"
        writer.write(head.encode() + b"x" * 500_000)
        await writer.drain()

        async def half_written() -> bool:
            return gateway.stored() != before

        assert await eventually(half_written)
        writer.close()

        async def gone() -> bool:
            return gateway.stored() == before

        assert await eventually(gone)


async def _pieces(piece: bytes, times: int) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield piece


class TestSegments:
    async def test_an_operator_can_have_them_shorter(self, gateway: RunningGateway, tmp_path: Path) -> None:
        async with running_gateway(gateway.kafka, DEAD_DSN, tmp_path, segment_seconds=7.5) as finer:
            job = await finer.submit()
        assert (await upload_of(gateway, job["id"])).plan.max_seconds == 7.5


class TestStalled:
    async def test_a_client_that_falls_silent_is_given_up(self, gateway: RunningGateway, tmp_path: Path) -> None:
        forever = asyncio.Event()

        async def silent() -> AsyncIterator[bytes]:
            yield b"x"
            await forever.wait()

        async with running_gateway(gateway.kafka, DEAD_DSN, tmp_path, upload_stall_seconds=0.2) as hasty:
            async with hasty.http.post("/v1/jobs", data=silent()) as answer:
                await problem(answer, 408, "stalled")
            assert hasty.stored() == []


class TestSameKey:
    """An Idempotency-Key makes a repeated request the same job."""

    @staticmethod
    async def send(
        gateway: RunningGateway, key: str, body: bytes = SOUND, **options: str
    ) -> tuple[int, dict[str, str]]:
        headers = {"Idempotency-Key": key}
        async with gateway.http.post("/v1/jobs", data=body, params=options, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    async def test_the_same_request_is_the_same_job(self, gateway: RunningGateway) -> None:
        status, first = await self.send(gateway, "again")
        again, second = await self.send(gateway, "again")
        assert (status, again) == (202, 202)
        assert second == first
        assert (await upload_of(gateway, first["id"])).idempotent

    async def test_many_at_once_are_one_job(self, gateway: RunningGateway) -> None:
        answers = await asyncio.gather(*(self.send(gateway, "at-once") for _ in range(8)))
        assert {status for status, _ in answers} == {202}
        [job] = {job["id"] for _, job in answers}
        events = await gateway.events(job, "upload.received.interactive")
        assert len({event.model_dump_json() for event in events}) == 1

    async def test_another_file_is_refused_and_the_first_stays(self, gateway: RunningGateway) -> None:
        _, first = await self.send(gateway, "other-file")
        before = gateway.stored()
        status, document = await self.send(gateway, "other-file", SOUND + b"!")
        assert status == 422
        assert document["type"] == "urn:scribewire:problem:idempotency-key-reused"
        assert gateway.stored() == before
        assert (await upload_of(gateway, first["id"])).sha256 == SHA

    async def test_other_options_are_refused(self, gateway: RunningGateway) -> None:
        await self.send(gateway, "other-options")
        status, document = await self.send(gateway, "other-options", priority="bulk")
        assert status == 422
        assert document["type"] == "urn:scribewire:problem:idempotency-key-reused"

    async def test_two_files_at_once_under_one_key(self, gateway: RunningGateway) -> None:
        bodies = [SOUND + bytes([number]) for number in range(6)]
        answers = await asyncio.gather(*(self.send(gateway, "race", body) for body in bodies))
        assert sorted(status for status, _ in answers) == [202, 422, 422, 422, 422, 422]
        [winner] = [job for status, job in answers if status == 202]
        originals = [name for name in gateway.stored() if winner["id"] in name]
        assert originals == [
            f"users/operator/originals/{winner['id']}/{name}" for name in sorted([winner["sha256"], "claim.json"])
        ]

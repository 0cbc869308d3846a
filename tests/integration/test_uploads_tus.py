"""Uploads by tus 1.0: every header, status and extension, against a gateway on real Kafka and PostgreSQL."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import pytest

from common import ids, layout
from common.blobs.folder import FolderBlobs
from common.events import UploadReceived, now
from gateway.problems import Problem
from gateway.uploads.finish import Finish
from gateway.uploads.hashing import Hashes
from gateway.uploads.store import UploadStore
from gateway.uploads.uploads import Uploads
from support.gateway import RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database
from support.tus import BYTES, RESUMABLE, UPLOADS, create, head, metadata, patch, send
from support.waiting import eventually

MIB = 1024 * 1024
SOUND = b"RIFF" + bytes(range(256)) * 40


@pytest.fixture(scope="module")
async def dsn(kafka_bootstrap: str, postgres_server_dsn: str) -> str:
    address = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, address)
    return address


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("uploads")
    async with running_gateway(kafka_bootstrap, dsn, folder, max_file_size_mb=4) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> aiohttp.ClientSession:
    return gateway.http


async def received(gateway: RunningGateway, job: str | None) -> UploadReceived:
    """The one event of a job."""
    assert job is not None
    events = await gateway.events(job, "upload.received.interactive", "upload.received.bulk")
    assert len({event.model_dump_json() for event in events}) == 1
    [event, *_] = events
    assert isinstance(event, UploadReceived)
    return event


def of_folder(gateway: RunningGateway, lifetime: timedelta = timedelta(days=1)) -> Uploads:
    """What other rooms see of the uploads in the gateway's folder."""
    blobs = FolderBlobs(gateway.blobs)
    store = UploadStore(blobs)
    return Uploads(blobs, store, Finish(blobs, store, Hashes(), None), lifetime=lifetime)  # type: ignore[arg-type]


class TestCore:
    async def test_options_needs_no_key_and_no_version(self, gateway: RunningGateway) -> None:
        async with aiohttp.ClientSession(gateway.url) as stranger:
            for path in (UPLOADS, f"{UPLOADS}/{uuid4()}"):
                async with stranger.options(path) as answer:
                    assert answer.status == 204
                    assert answer.headers["Tus-Version"] == "1.0.0"
                    assert answer.headers["Tus-Max-Size"] == str(4 * MIB)
                    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"
                    assert set(answer.headers["Tus-Extension"].split(",")) == {
                        "creation",
                        "creation-with-upload",
                        "creation-defer-length",
                        "expiration",
                        "checksum",
                        "termination",
                        "concatenation",
                    }

    async def test_an_upload_in_three_requests_becomes_a_job(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        described = metadata(
            filename="тест.wav", filetype="audio/wav", options=json.dumps({"language": "en-US", "priority": "bulk"})
        )
        address = await create(http, len(SOUND), **described)
        assert address.startswith(gateway.url)
        assert await send(http, address, 0, SOUND[:100]) is None
        assert await send(http, address, 100, b"") is None
        found = await head(http, address)
        assert found["Upload-Offset"] == "100"
        assert found["Upload-Length"] == str(len(SOUND))
        assert found["Upload-Metadata"] == described["Upload-Metadata"]
        assert found["Cache-Control"] == "no-store"
        assert found["Tus-Resumable"] == "1.0.0"
        assert "Scribewire-Job" not in found
        job = await send(http, address, 100, SOUND[100:])
        event = await received(gateway, job)
        assert (event.filename, event.content_type, event.lane) == ("тест.wav", "audio/wav", "bulk")
        assert event.options.language == "en-US"
        assert event.sha256 == hashlib.sha256(SOUND).hexdigest()
        assert event.source.size == len(SOUND)
        assert (gateway.blobs / event.source.name).read_bytes() == SOUND
        shown = await gateway.job(str(job))
        assert (shown["filename"], shown["size"], shown["sha256"]) == ("тест.wav", len(SOUND), event.sha256)
        for _ in range(2):
            assert (await head(http, address))["Scribewire-Job"] == job
            assert await send(http, address, len(SOUND), b"") == job
        await received(gateway, job)

    @pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
    async def test_another_version_is_412_and_does_nothing(
        self, http: aiohttp.ClientSession, version: str | None
    ) -> None:
        address = await create(http, 3)
        headers = {**BYTES, "Upload-Offset": "0", "Upload-Length": "3"}
        headers |= {"Tus-Resumable": version} if version else {}
        for method, path in (("POST", UPLOADS), ("PATCH", address), ("DELETE", address)):
            async with http.request(method, path, headers=headers, data=b"abc") as answer:
                await problem(answer, 412, "tus-version")
                assert answer.headers["Tus-Version"] == "1.0.0"
                assert answer.headers["Tus-Resumable"] == "1.0.0"
        async with http.head(address, headers=headers) as answer:
            assert answer.status == 412
        assert (await head(http, address))["Upload-Offset"] == "0"

    @pytest.mark.parametrize("offset", [0, 2, 4, 9])
    async def test_another_offset_is_409(self, http: aiohttp.ClientSession, offset: int) -> None:
        address = await create(http, 10)
        await send(http, address, 0, b"abc")
        async with patch(http, address, offset, b"x") as answer:
            assert (await problem(answer, 409, "offset-mismatch"))["upload_offset"] == 3
        assert (await head(http, address))["Upload-Offset"] == "3"

    async def test_what_a_patch_must_say(self, http: aiohttp.ClientSession) -> None:
        address = await create(http, 10)
        async with http.patch(address, data=b"x", headers={**RESUMABLE, "Upload-Offset": "0"}) as answer:
            await problem(answer, 415, "unsupported-content-type")
        async with http.patch(address, data=b"x", headers={**RESUMABLE, **BYTES}) as answer:
            await problem(answer, 400, "malformed-request")
        for offset in ("-1", "a", "1.0", "0x1", "9" * 20):
            async with http.patch(
                address, data=b"x", headers={**RESUMABLE, **BYTES, "Upload-Offset": offset}
            ) as answer:
                assert "Upload-Offset" in (await problem(answer, 400, "malformed-request"))["detail"]
        async with patch(http, address, 0, b"x", **{"Content-Encoding": "gzip"}) as answer:
            await problem(answer, 415, "unsupported-encoding")

    async def test_more_bytes_than_were_said_are_413(self, http: aiohttp.ClientSession) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"abc"
            yield b"defg"

        address = await create(http, 5)
        async with patch(http, address, 0, b"123456") as answer:
            await problem(answer, 413, "too-large")
        async with patch(http, address, 0, parts()) as answer:
            await problem(answer, 413, "too-large")
        assert int((await head(http, address))["Upload-Offset"]) < 5

    async def test_unknown_and_foreign_are_404(self, gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
        for path in (f"{UPLOADS}/{uuid4()}", f"{UPLOADS}/nonsense"):
            async with patch(http, path, 0, b"x") as answer:
                await problem(answer, 404, "not-found")
            async with http.delete(path, headers=RESUMABLE) as answer:
                await problem(answer, 404, "not-found")
            async with http.head(path, headers=RESUMABLE) as answer:
                assert answer.status == 404
                assert "Upload-Offset" not in answer.headers
        address = await create(http, 3, **metadata(hold=None))
        await send(http, address, 0, b"abc")
        upload = UUID(address.rpartition("/")[2])
        uploads = of_folder(gateway)
        assert (await uploads.state("operator", upload)).offset == 3
        for call in (uploads.state(str(uuid4()), upload), uploads.take(str(uuid4()), upload, by="x")):
            with pytest.raises(Problem) as refused:
                await call
            assert refused.value.kind.status == 404

    async def test_the_method_may_be_in_a_header(self, http: aiohttp.ClientSession) -> None:
        address = await create(http, 3)
        headers = {**RESUMABLE, **BYTES, "Upload-Offset": "0"}
        async with http.post(address, data=b"ab", headers=headers | {"X-HTTP-Method-Override": "PATCH"}) as answer:
            assert (answer.status, answer.headers["Upload-Offset"]) == (204, "2")
        async with http.post(address, headers=RESUMABLE | {"X-HTTP-Method-Override": "HEAD"}) as answer:
            assert (answer.status, answer.headers["Upload-Offset"]) == (200, "2")
        async with http.post(address, headers=RESUMABLE) as answer:
            await problem(answer, 405, "method-not-allowed")
        async with http.post(address, headers=RESUMABLE | {"X-HTTP-Method-Override": "DELETE"}) as answer:
            assert answer.status == 204
        async with http.head(address, headers=RESUMABLE) as answer:
            assert answer.status == 404


class TestCreation:
    async def test_too_large_is_413(self, http: aiohttp.ClientSession) -> None:
        async with http.post(UPLOADS, headers={**RESUMABLE, "Upload-Length": str(4 * MIB + 1)}) as answer:
            assert (await problem(answer, 413, "too-large"))["limit_bytes"] == 4 * MIB

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Upload-Length": "3", "Upload-Defer-Length": "1"},
            {"Upload-Defer-Length": "2"},
            {"Upload-Length": "-3"},
            {"Upload-Length": "3", "Upload-Metadata": "filename ###"},
            {"Upload-Length": "3", "Upload-Metadata": "filename YQ== YQ=="},
            {"Upload-Length": "3", "Upload-Metadata": "a,a"},
            {"Upload-Length": "3", "Upload-Concat": "whole"},
            {"Upload-Concat": "final;"},
        ],
    )
    async def test_what_cannot_be_read_is_400(self, http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        async with http.post(UPLOADS, headers=RESUMABLE | headers) as answer:
            await problem(answer, 400, "malformed-request")

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ('{"language": "?"}', "language"),
            ('{"speakers": 99}', "speakers"),
            ('{"colour": "red"}', "colour"),
            ('{"keyterms": ["a\\u0000b"]}', "keyterms"),
            ('{"provider": "nobody"}', "provider"),
            ("[]", "body"),
            ("{", "options"),
        ],
    )
    async def test_bad_options_are_422_before_a_byte_comes(
        self, gateway: RunningGateway, http: aiohttp.ClientSession, options: str, field: str
    ) -> None:
        before = gateway.stored()
        headers = {**RESUMABLE, "Upload-Length": "3", **metadata(options=options)}
        async with http.post(UPLOADS, headers=headers) as answer:
            document = json.loads(await answer.text())
            assert answer.status == 422, document
            assert [error["field"] for error in document["errors"]] == [field]
        assert gateway.stored() == before

    async def test_too_much_metadata_is_refused(self, http: aiohttp.ClientSession) -> None:
        headers = {**RESUMABLE, "Upload-Length": "3", **metadata(filename="x" * 9000)}
        async with http.post(UPLOADS, headers=headers) as answer:
            await problem(answer, 431, "headers-too-large")

    async def test_nothing_is_no_recording(self, http: aiohttp.ClientSession) -> None:
        async with http.post(UPLOADS, headers={**RESUMABLE, "Upload-Length": "0"}) as answer:
            await problem(answer, 422, "empty-file")

    async def test_with_the_bytes_in_the_first_request(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        headers = {**RESUMABLE, **BYTES, "Upload-Length": str(len(SOUND))}
        async with http.post(UPLOADS, headers=headers, data=SOUND) as answer:
            assert answer.status == 201
            assert answer.headers["Upload-Offset"] == str(len(SOUND))
            await received(gateway, answer.headers["Scribewire-Job"])
        async with http.post(UPLOADS, headers=headers, data=SOUND[:10]) as answer:
            assert (answer.status, answer.headers["Upload-Offset"]) == (201, "10")
            assert "Scribewire-Job" not in answer.headers
            address = answer.headers["Location"]
        assert await send(http, address, 10, SOUND[10:])

    async def test_a_length_that_is_said_later(self, gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
        address = await create(http, None)
        await send(http, address, 0, SOUND[:10])
        found = await head(http, address)
        assert (found["Upload-Defer-Length"], "Upload-Length" in found) == ("1", False)
        for bad in ("9", "x"):
            async with patch(http, address, 10, b"", **{"Upload-Length": bad}) as answer:
                await problem(answer, 400, "malformed-request")
        async with patch(http, address, 10, b"", **{"Upload-Length": str(4 * MIB + 1)}) as answer:
            await problem(answer, 413, "too-large")
        await send(http, address, 10, b"", **{"Upload-Length": str(len(SOUND))})
        async with patch(http, address, 10, b"", **{"Upload-Length": "100"}) as answer:
            await problem(answer, 400, "malformed-request")
        assert (await head(http, address))["Upload-Length"] == str(len(SOUND))
        event = await received(gateway, await send(http, address, 10, SOUND[10:]))
        assert event.sha256 == hashlib.sha256(SOUND).hexdigest()

    async def test_a_length_that_is_never_said_has_the_same_limit(self, http: aiohttp.ClientSession) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(6):
                yield b"x" * MIB

        address = await create(http, None)
        async with patch(http, address, 0, endless()) as answer:
            await problem(answer, 413, "too-large")
        assert int((await head(http, address))["Upload-Offset"]) <= 4 * MIB


class TestChecksum:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
    async def test_right_bytes_are_taken_and_others_dropped(self, http: aiohttp.ClientSession, algorithm: str) -> None:
        digest = base64.b64encode(hashlib.new(algorithm, SOUND).digest()).decode()
        address = await create(http, 2 * len(SOUND))
        async with patch(http, address, 0, SOUND[:-1] + b"!", **{"Upload-Checksum": f"{algorithm} {digest}"}) as answer:
            await problem(answer, 460, "checksum-mismatch")
        assert (await head(http, address))["Upload-Offset"] == "0"
        await send(http, address, 0, SOUND, **{"Upload-Checksum": f"{algorithm} {digest}"})
        assert (await head(http, address))["Upload-Offset"] == str(len(SOUND))

    @pytest.mark.parametrize("checksum", ["crc32 AAAA", "sha1 ###", "sha1"])
    async def test_what_is_no_checksum_is_400(self, http: aiohttp.ClientSession, checksum: str) -> None:
        address = await create(http, 3)
        async with patch(http, address, 0, b"abc", **{"Upload-Checksum": checksum}) as answer:
            assert answer.status == (460 if checksum == "sha1" else 400)
        assert (await head(http, address))["Upload-Offset"] == "0"

    async def test_at_creation(self, gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
        before = gateway.stored()
        headers = {**RESUMABLE, **BYTES, "Upload-Length": "3", "Upload-Checksum": "md5 AAAA"}
        async with http.post(UPLOADS, headers=headers, data=b"abc") as answer:
            await problem(answer, 460, "checksum-mismatch")
        assert gateway.stored() == before


class TestTermination:
    async def test_half_an_upload_is_gone_with_its_bytes(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        before = gateway.stored()
        address = await create(http, 10)
        await send(http, address, 0, b"abc")
        assert gateway.stored() != before
        async with http.delete(address, headers=RESUMABLE) as answer:
            assert answer.status == 204
        assert gateway.stored() == before
        async with patch(http, address, 3, b"x") as answer:
            await problem(answer, 404, "not-found")

    async def test_a_job_stays(self, gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
        address = await create(http, len(SOUND))
        event = await received(gateway, await send(http, address, 0, SOUND))
        async with http.delete(address, headers=RESUMABLE) as answer:
            assert answer.status == 204
        assert (gateway.blobs / event.source.name).read_bytes() == SOUND
        assert (await gateway.job(str(event.job_id)))["status"] == "queued"


class TestConcatenation:
    async def test_three_parts_at_once_as_a_browser_sends_them(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        """As tus-js-client does with ``parallelUploads: 3``: parts without metadata, then the final with it."""
        third = len(SOUND) // 3
        parts = [SOUND[:third], SOUND[third : 2 * third], SOUND[2 * third :]]
        partial = {"Upload-Concat": "partial"}

        async def send_part(part: bytes) -> str:
            address = await create(http, len(part), **partial)
            assert await send(http, address, 0, part[:50]) is None
            assert (await head(http, address))["Upload-Concat"] == "partial"
            assert await send(http, address, 50, part[50:]) is None
            return address

        addresses = await asyncio.gather(*(send_part(part) for part in parts))
        final = {"Upload-Concat": f"final;{' '.join(addresses)}", **metadata(filename="whole.wav")}
        answers = []
        for _ in range(2):  # the second as if the first answer had been lost
            async with http.post(UPLOADS, headers=RESUMABLE | final) as answer:
                assert answer.status == 201, await answer.text()
                answers.append((answer.headers["Location"], answer.headers["Scribewire-Job"]))
        assert answers[0] == answers[1]
        event = await received(gateway, answers[0][1])
        assert (event.filename, event.sha256) == ("whole.wav", hashlib.sha256(SOUND).hexdigest())
        assert (gateway.blobs / event.source.name).read_bytes() == SOUND
        found = await head(http, answers[0][0])
        assert found["Upload-Concat"] == final["Upload-Concat"]
        assert found["Upload-Length"] == found["Upload-Offset"] == str(len(SOUND))
        assert found["Scribewire-Job"] == answers[0][1]
        async with patch(http, answers[0][0], 0, b"x") as answer:
            await problem(answer, 403, "upload-is-final")
        for address in addresses:
            async with http.head(address, headers=RESUMABLE) as answer:
                assert answer.status == 404, "parts are gone with their bytes"

    async def test_what_cannot_be_a_whole(self, http: aiohttp.ClientSession) -> None:
        half = await create(http, 10, **{"Upload-Concat": "partial"})
        await send(http, half, 0, b"abc")
        whole = await create(http, 10)
        large = [await create(http, 3 * MIB, **{"Upload-Concat": "partial"}) for _ in range(2)]
        for address in large:
            await send(http, address, 0, b"x" * 3 * MIB)
        empty = await create(http, 0, **{"Upload-Concat": "partial"})
        for addresses, status, kind in (
            ([half], 409, "upload-unfinished"),
            ([whole], 422, "invalid-request"),
            ([f"{UPLOADS}/{uuid4()}"], 422, "invalid-request"),
            (["nonsense"], 422, "invalid-request"),
            (large, 413, "too-large"),
            ([empty], 422, "empty-file"),
        ):
            headers = {**RESUMABLE, "Upload-Concat": f"final;{' '.join(addresses)}"}
            async with http.post(UPLOADS, headers=headers) as answer:
                await problem(answer, status, kind)


class TestHold:
    async def test_a_held_upload_waits_until_one_takes_it(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        address = await create(http, len(SOUND), **metadata(filename="a.wav", hold=None))
        upload = UUID(address.rpartition("/")[2])
        uploads = of_folder(gateway)
        with pytest.raises(Problem) as refused:
            await uploads.take("operator", upload, by="batch/1")
        assert refused.value.kind.slug == "upload-unfinished"
        assert await send(http, address, 0, SOUND) is None
        assert "Scribewire-Job" not in await head(http, address)
        taken = await uploads.take("operator", upload, by="batch/1")
        assert (taken.sha256, taken.filename) == (hashlib.sha256(SOUND).hexdigest(), "a.wav")
        assert (gateway.blobs / taken.source.name).read_bytes() == SOUND
        assert await uploads.take("operator", upload, by="batch/1") == taken
        assert await of_folder(gateway, timedelta()).take("operator", upload, by="batch/1") == taken, "at any time"
        with pytest.raises(Problem) as refused:
            await uploads.take("operator", upload, by="batch/2")
        assert refused.value.kind.slug == "upload-taken"
        async with http.delete(address, headers=RESUMABLE) as answer:
            assert answer.status == 204
        assert (gateway.blobs / taken.source.name).exists(), "its bytes belong to who took it"


class TestExpiration:
    async def test_it_says_when(self, http: aiohttp.ClientSession) -> None:
        address = await create(http, 10)
        async with patch(http, address, 0, b"abc") as answer:
            expires = parsedate_to_datetime(answer.headers["Upload-Expires"])
        left = expires - now()
        assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
        assert abs(parsedate_to_datetime((await head(http, address))["Upload-Expires"]) - expires) < timedelta(
            seconds=5
        )

    async def test_what_nobody_goes_on_with_is_410_then_swept(
        self, kafka_bootstrap: str, dsn: str, tmp_path: Path
    ) -> None:
        lifetime = timedelta(seconds=0.5)
        hours = lifetime / timedelta(hours=1)
        async with running_gateway(kafka_bootstrap, dsn, tmp_path, upload_hours=hours) as gateway:
            http = gateway.http
            address = await create(http, len(SOUND))
            await send(http, address, 0, SOUND[:5])
            held = await create(http, len(SOUND), **metadata(hold=None))
            await send(http, held, 0, SOUND)
            made = await create(http, len(SOUND))
            event = await received(gateway, await send(http, made, 0, SOUND))

            async def gone() -> bool:
                async with patch(http, address, 5, b"") as answer:
                    if answer.status != 410:
                        return False
                    await problem(answer, 410, "upload-expired")
                    return True

            # Each empty PATCH that is taken in time puts the end off, so what is asked is whether it expires at all.
            await eventually(gone, seconds=10, every=0.7)
            uploads = of_folder(gateway, lifetime)

            async def swept() -> bool:
                await uploads.sweep()
                return gateway.stored() == [event.source.name]

            assert await eventually(swept, seconds=10, why="only the job's bytes stay")
            async with http.head(address, headers=RESUMABLE) as answer:
                assert answer.status == 404

    async def test_what_is_young_is_not_swept(self, gateway: RunningGateway, http: aiohttp.ClientSession) -> None:
        address = await create(http, 10)
        await send(http, address, 0, b"abc")
        assert await of_folder(gateway).sweep() == 0
        assert (await head(http, address))["Upload-Offset"] == "3"


class TestOutages:
    async def test_while_kafka_is_away_only_the_last_step_is_repeated(self, gateway: RunningGateway, dsn: str) -> None:
        folder = gateway.blobs.parent
        async with running_gateway("127.0.0.1:9", dsn, folder, publish_seconds=0.3) as cut_off:
            address = await create(cut_off.http, len(SOUND))
            async with patch(cut_off.http, address, 0, SOUND) as answer:
                await problem(answer, 503, "unavailable")
                assert answer.headers["Retry-After"] == "5"
            async with cut_off.http.head(address, headers=RESUMABLE) as answer:
                assert answer.status == 503, "a client that only asks must not take it for done"
            async with patch(cut_off.http, address, len(SOUND), b"") as answer:
                await problem(answer, 503, "unavailable")
        path = f"{UPLOADS}/{address.rpartition('/')[2]}"
        found, sent = await asyncio.gather(head(gateway.http, path), send(gateway.http, path, len(SOUND), b""))
        assert found["Scribewire-Job"] == sent
        assert (await received(gateway, sent)).sha256 == hashlib.sha256(SOUND).hexdigest()

    async def test_two_gateways_at_one_upload(self, gateway: RunningGateway, kafka_bootstrap: str, dsn: str) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield SOUND[:1000]
            begun.set()
            await go_on.wait()
            yield SOUND[1000:]

        async with running_gateway(kafka_bootstrap, dsn, gateway.blobs.parent) as other:
            address = await create(gateway.http, len(SOUND))
            path = f"{UPLOADS}/{address.rpartition('/')[2]}"
            first = asyncio.create_task(send(gateway.http, path, 0, slow()))
            await asyncio.wait_for(begun.wait(), 10)
            job_id = ids.upload_job("operator", UUID(address.rpartition("/")[2]))
            growing = gateway.blobs / ".gathering" / layout.uploaded("operator", job_id)
            await eventually(growing.exists, seconds=10, why="the first is at it")
            async with patch(other.http, path, 0, b"?" * len(SOUND)) as answer:
                await problem(answer, 423, "upload-busy")
            go_on.set()
            job = await first
        event = await received(gateway, job)
        assert (gateway.blobs / event.source.name).read_bytes() == SOUND

    async def test_a_client_that_comes_again_need_not_wait_for_its_dead_connection(
        self, gateway: RunningGateway, http: aiohttp.ClientSession
    ) -> None:
        begun = asyncio.Event()

        async def dead() -> AsyncIterator[bytes]:
            yield SOUND[:1000]
            begun.set()
            await asyncio.Event().wait()

        address = await create(http, len(SOUND))
        first = asyncio.create_task(send(http, address, 0, dead()))
        await asyncio.wait_for(begun.wait(), 10)

        async def job() -> str | None:
            offset = int((await head(http, address))["Upload-Offset"])
            async with patch(http, address, offset, SOUND[offset:]) as answer:
                return answer.headers["Scribewire-Job"] if answer.status == 204 else None

        made = await eventually(job, seconds=10)
        with pytest.raises(aiohttp.ClientError):
            await first
        assert (await received(gateway, made)).sha256 == hashlib.sha256(SOUND).hexdigest()

    async def test_without_postgres_uploads_go_on(self, gateway: RunningGateway, kafka_bootstrap: str) -> None:
        from support.gateway import DEAD_DSN

        async with running_gateway(kafka_bootstrap, DEAD_DSN, gateway.blobs.parent, store_seconds=0.3) as alone:
            address = await create(alone.http, len(SOUND))
            await send(alone.http, address, 0, SOUND[:10])
            await received(gateway, await send(alone.http, address, 10, SOUND[10:]))

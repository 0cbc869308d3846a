"""Uploads over HTTP without Kafka: what the audit log is told, one upload for one key, where one is, who takes it."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from gateway.problems import Problem
from support.gateway import problem
from support.tus import BYTES, RESUMABLE, UPLOADS, create, head, metadata, patch, send
from support.tus_room import ANN, BOB, TusRoom, tus_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[TusRoom]:
    async with tus_room(tmp_path) as serving:
        yield serving


def id_of(address: str) -> str:
    return address.rpartition("/")[2]


def keyed(length: int = 3, **more: str) -> dict[str, str]:
    return {**RESUMABLE, "Upload-Length": str(length), "Idempotency-Key": "k1", **more}


class TestAudit:
    async def test_bytes_with_the_creation_make_an_upload_and_a_job(self, room: TusRoom) -> None:
        async with room.http.post(UPLOADS, headers={**RESUMABLE, **BYTES, "Upload-Length": "3"}, data=b"abc") as answer:
            assert answer.status == 201
            address, job = answer.headers["Location"], answer.headers["Scribewire-Job"]
        assert room.heard() == [("upload.created", id_of(address)), ("job.submitted", job)]
        assert (await head(room.http, address))["Scribewire-Job"] == job
        assert await send(room.http, address, 3, b"") == job
        assert room.heard() == []

    async def test_a_job_is_told_of_by_the_request_that_makes_it(self, room: TusRoom) -> None:
        address = await create(room.http, 3)
        assert await send(room.http, address, 0, b"ab") is None
        room.jobs.away = True
        async with patch(room.http, address, 2, b"c") as answer:
            assert answer.status == 503
        assert room.heard() == [("upload.created", id_of(address))]
        room.jobs.away = False
        for _ in range(2):
            async with room.http.post(address, headers=RESUMABLE | {"X-HTTP-Method-Override": "HEAD"}) as answer:
                job = answer.headers["Scribewire-Job"]
        assert room.heard() == [("job.submitted", job)]

    async def test_parts_made_one_are_told_of(self, room: TusRoom) -> None:
        parts = [await create(room.http, 1, **{"Upload-Concat": "partial"}) for _ in range(2)]
        for part in parts:
            await send(room.http, part, 0, b"x")
        assert room.heard() == [("upload.created", id_of(part)) for part in parts]
        final = {**RESUMABLE, "Upload-Concat": f"final;{' '.join(parts)}"}
        for _ in range(2):
            async with room.http.post(UPLOADS, headers=final) as answer:
                assert answer.status == 201
                address, job = answer.headers["Location"], answer.headers["Scribewire-Job"]
        assert room.heard() == [("upload.created", id_of(address)), ("job.submitted", job)]

    async def test_what_is_given_up_is_told_of_whatever_the_method_is_called(self, room: TusRoom) -> None:
        one, other = await create(room.http, 3), await create(room.http, 3)
        room.heard()
        async with room.http.delete(one, headers=RESUMABLE) as answer:
            assert answer.status == 204
        async with room.http.post(other, headers=RESUMABLE | {"X-HTTP-Method-Override": "DELETE"}) as answer:
            assert answer.status == 204
        async with room.http.delete(one, headers=RESUMABLE) as answer:
            assert answer.status == 404
        assert room.heard() == [("upload.removed", id_of(one)), ("upload.removed", id_of(other))]

    async def test_an_upload_stays_and_is_told_of_when_its_job_has_to_wait(self, room: TusRoom) -> None:
        room.jobs.away = True
        async with room.http.post(UPLOADS, headers={**RESUMABLE, **BYTES, "Upload-Length": "3"}, data=b"abc") as answer:
            await problem(answer, 503, "unavailable")
            assert room.heard() == [("upload.created", id_of(answer.headers["Location"]))]


class TestOneKey:
    async def test_the_same_request_is_the_same_upload_and_goes_on(self, room: TusRoom) -> None:
        async with room.http.post(UPLOADS, headers=keyed()) as answer:
            address = answer.headers["Location"]
        await send(room.http, address, 0, b"ab")
        async with room.http.post(UPLOADS, headers=keyed(**BYTES), data=b"abc") as answer:
            assert (answer.status, answer.headers["Location"], answer.headers["Upload-Offset"]) == (201, address, "2")
        job = await send(room.http, address, 2, b"c")
        async with room.http.post(UPLOADS, headers=keyed()) as answer:
            assert (answer.headers["Upload-Offset"], answer.headers["Scribewire-Job"]) == ("3", job)
        assert room.heard() == [("upload.created", id_of(address)), ("job.submitted", job)]
        async with room.http.post(UPLOADS, headers=keyed() | {"Authorization": f"Bearer {BOB}"}) as answer:
            assert answer.status == 201
            assert answer.headers["Location"] != address, "another owner's key is another key"

    async def test_another_request_is_refused(self, room: TusRoom) -> None:
        async with room.http.post(UPLOADS, headers=keyed()) as answer:
            assert answer.status == 201
        for other in (keyed(4), keyed(**metadata(filename="b.wav")), keyed(**{"Upload-Concat": "partial"})):
            async with room.http.post(UPLOADS, headers=other) as answer:
                await problem(answer, 422, "idempotency-key-reused")
        parts = [await create(room.http, 1, **{"Upload-Concat": "partial"}) for _ in range(2)]
        for part in parts:
            await send(room.http, part, 0, b"x")
        asked = {**RESUMABLE, "Idempotency-Key": "k2"}
        async with room.http.post(UPLOADS, headers=asked | {"Upload-Concat": f"final;{parts[0]}"}) as answer:
            assert answer.status == 201
        async with room.http.post(UPLOADS, headers=asked | {"Upload-Concat": f"final;{parts[1]}"}) as answer:
            await problem(answer, 422, "idempotency-key-reused")

    async def test_a_request_that_fails_with_its_bytes_can_be_sent_again(self, room: TusRoom) -> None:
        def checked(content: bytes) -> dict[str, str]:
            digest = hashlib.sha1(content, usedforsecurity=False).digest()
            return {"Upload-Checksum": f"sha1 {base64.b64encode(digest).decode()}"}

        async with room.http.post(UPLOADS, headers=keyed(**BYTES, **checked(b"abd")), data=b"abc") as answer:
            await problem(answer, 460, "checksum-mismatch")
            address = answer.headers["Location"]
        async with room.http.post(UPLOADS, headers=keyed(**BYTES, **checked(b"abc")), data=b"abc") as answer:
            assert (answer.status, answer.headers["Location"]) == (201, address)
            job = UUID(answer.headers["Scribewire-Job"])
        assert [event.job_id for event in room.jobs.events] == [job]
        room.jobs.gone.add(job)
        async with room.http.post(UPLOADS, headers=keyed()) as answer:
            await problem(answer, 409, "job-deleted")


class TestAddress:
    @pytest.mark.parametrize(
        ("settings", "begins"),
        [
            ({}, "http://127.0.0.1:"),
            ({"trusted_proxies": "127.0.0.0/8"}, "https://127.0.0.1:"),
            ({"public_url": "https://voice.example/sw/"}, "https://voice.example/sw/v1/uploads/"),
        ],
    )
    async def test_it_is_where_people_find_the_gateway(
        self, tmp_path: Path, settings: dict[str, str], begins: str
    ) -> None:
        async with tus_room(tmp_path, **settings) as room:
            assert (await create(room.http, 3, **{"X-Forwarded-Proto": "https"})).startswith(begins)

    async def test_every_answer_says_the_version(self, room: TusRoom) -> None:
        stranger = {"Authorization": "none"}
        for method, path, headers, status in (
            ("POST", UPLOADS, stranger, 401),
            ("HEAD", f"{UPLOADS}/{ANN}", stranger, 401),
            ("PUT", UPLOADS, {}, 405),
            ("POST", UPLOADS, {}, 412),
            ("OPTIONS", UPLOADS, stranger, 204),
        ):
            async with room.http.request(method, path, headers=headers) as answer:
                assert (answer.status, answer.headers.get("Tus-Resumable")) == (status, "1.0.0")
        async with room.http.get("/v1/jobs") as answer:
            assert "Tus-Resumable" not in answer.headers


class TestTaken:
    async def test_an_upload_that_is_a_job_is_taken_as_that_job(self, room: TusRoom) -> None:
        address = await create(room.http, 3, **metadata(options='{"language": "de", "priority": "interactive"}'))
        job = await send(room.http, address, 0, b"abc")
        upload = UUID(id_of(address))
        with pytest.raises(Problem, match="other options") as refused:
            await room.uploads.take(ANN, upload, by="b/1", options={"priority": "bulk", "language": "fr"})
        assert refused.value.document["errors"][0]["field"] == "upload"
        taken = await room.uploads.take(ANN, upload, by="b/2", options={"priority": "bulk", "language": "de"})
        assert taken.event is not None
        assert str(taken.event.job_id) == job
        with pytest.raises(Problem, match="another line"):
            await room.uploads.take(ANN, upload, by="b/3", options={"priority": "bulk"})

    async def test_a_part_is_nobody_elses(self, room: TusRoom) -> None:
        address = await create(room.http, 1, **{"Upload-Concat": "partial"})
        await send(room.http, address, 0, b"x")
        with pytest.raises(Problem, match="partial"):
            await room.uploads.take(ANN, UUID(id_of(address)), by="b/1")

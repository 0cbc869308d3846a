"""Listing, reading, cancelling and deleting jobs, their results, and webhooks."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import pysubs2
import pytest
import webvtt

from common import layout
from common.events import JobControl, now
from common.transcript import Transcript, Translation, Utterance, Word
from support.gateway import RunningGateway, prepare, problem, running_gateway
from support.platform import fresh_database
from support.waiting import eventually

OWNER = "operator"


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    folder = tmp_path_factory.mktemp("jobs")
    async with running_gateway(kafka_bootstrap, dsn, folder, delete_seconds=1.0) as running:
        yield running


class TestList:
    @pytest.fixture
    async def ids(self, gateway: RunningGateway) -> list[str]:
        """Seven jobs, newest first; two of them with the same time, one failed."""
        await gateway.sql("DELETE FROM jobs")
        jobs = [(await gateway.submit())["id"] for _ in range(7)]
        start = now()
        for number, job in enumerate(jobs):
            await gateway.record(job, created_at=start + timedelta(seconds=max(number, 1)))
        await gateway.record(jobs[3], status="failed", error_code="no_audio", error_message="There is no audio in it.")
        tied = sorted(jobs[:2], key=lambda job: UUID(job).int)
        return [*reversed(jobs[2:]), *reversed(tied)]

    async def page(self, gateway: RunningGateway, **query: str | int) -> dict[str, object]:
        async with gateway.http.get("/v1/jobs", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def test_newest_first_with_counts(self, gateway: RunningGateway, ids: list[str]) -> None:
        page = await self.page(gateway)
        assert [job["id"] for job in page["jobs"]] == ids  # type: ignore[attr-defined]
        assert page["next_cursor"] is None
        counts = dict.fromkeys(("transcoding", "transcribing", "translating", "completed", "cancelled"), 0)
        assert page["counts"] == counts | {"queued": 6, "failed": 1}

    async def test_pages_join_without_gap_or_overlap(self, gateway: RunningGateway, ids: list[str]) -> None:
        seen: list[str] = []
        page = await self.page(gateway, limit=3)
        while True:
            seen += [job["id"] for job in page["jobs"]]  # type: ignore[attr-defined]
            if page["next_cursor"] is None:
                break
            page = await self.page(gateway, limit=3, cursor=str(page["next_cursor"]))
        assert seen == ids

    async def test_only_one_state(self, gateway: RunningGateway, ids: list[str]) -> None:
        page = await self.page(gateway, status="failed")
        [job] = page["jobs"]  # type: ignore[misc]
        assert job["error"] == {"code": "no_audio", "message": "There is no audio in it."}
        assert job["id"] in ids

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"status": "lost"}, "status"),
            ({"cursor": "!!!"}, "cursor"),
            ({"cursor": "AAAA"}, "cursor"),
            ({"colour": "red"}, "colour"),
        ],
    )
    async def test_bad_questions_are_named(self, gateway: RunningGateway, query: dict[str, str], field: str) -> None:
        async with gateway.http.get("/v1/jobs", params=query) as answer:
            document = await problem(answer, 422, "invalid-request")
        assert [error["field"] for error in document["errors"]] == [field]


class TestGet:
    async def test_an_unknown_job_and_no_id_at_all(self, gateway: RunningGateway) -> None:
        for job in (str(uuid4()), "none"):
            for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/transcript"):
                async with gateway.http.get(path) as answer:
                    await problem(answer, 404, "not-found")

    async def test_an_id_has_one_form(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        arabic = job.translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
        for form in (f"urn:uuid:{job}", job.replace("-", ""), f"{{{job}}}", arabic, f"{job}\n"):
            async with gateway.http.get(f"/v1/jobs/{quote(form, safe='')}") as answer:
                await problem(answer, 404, "not-found")
        assert (await gateway.job(job.upper()))["id"] == job

    async def test_another_owners_job_is_as_unknown(self, gateway: RunningGateway) -> None:
        job = str(uuid4())
        await gateway.sql(
            "INSERT INTO jobs (id, owner, lane, created_at, updated_at) VALUES ($1, 'else', 'bulk', now(), now())",
            UUID(job),
        )
        async with gateway.http.get(f"/v1/jobs/{job}") as theirs, gateway.http.get(f"/v1/jobs/{uuid4()}") as unknown:
            assert await problem(theirs, 404, "not-found") == await problem(unknown, 404, "not-found")

    async def test_what_the_recorder_wrote_is_shown(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        await gateway.record(
            job, status="transcribing", stage="transcriber", fraction=0.25, detail="2 of 8 segments", duration=31.5
        )
        shown = await gateway.job(job)
        assert (shown["status"], shown["stage"], shown["fraction"]) == ("transcribing", "transcriber", 0.25)
        assert (shown["detail"], shown["duration"]) == ("2 of 8 segments", 31.5)
        assert shown["links"]["transcript"] == f"/v1/jobs/{job}/transcript"


class TestCancel:
    async def test_a_running_job_is_told_to_stop(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        async with gateway.http.post(f"/v1/jobs/{job}/cancel") as answer:
            assert answer.status == 202
            assert (await answer.json())["id"] == job
        [event] = await gateway.events(job, "job.control")
        assert isinstance(event, JobControl)
        assert (event.action, event.owner) == ("cancel", OWNER)
        assert (await gateway.job(job))["id"] == job

    async def test_an_ended_job_cannot_be_cancelled(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        await gateway.record(job, status="completed")
        async with gateway.http.post(f"/v1/jobs/{job}/cancel") as answer:
            document = await problem(answer, 409, "already-ended")
        assert document["job_status"] == "completed"
        assert await gateway.events(job, "job.control") == []


class TestDelete:
    async def test_204_once_the_recorder_has_erased_it(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]

        async def erase() -> None:
            async def asked() -> bool:
                return bool(await gateway.events(job, "job.control"))

            await eventually(asked)
            await gateway.sql("DELETE FROM jobs WHERE id = $1", UUID(job))
            await gateway.sql("INSERT INTO erased_jobs (job_id, erased_at, sweep) VALUES ($1, now(), false)", UUID(job))

        recorder = asyncio.create_task(erase())
        async with asyncio.timeout(10), gateway.http.delete(f"/v1/jobs/{job}") as answer:
            status = answer.status
        await recorder
        assert status in {202, 204}  # 202 when this machine took longer than the gateway waits
        async with gateway.http.get(f"/v1/jobs/{job}") as answer:
            await problem(answer, 404, "not-found")

    async def test_202_while_the_recorder_is_away_and_gone_at_once_on_every_replica(
        self, gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        headers = {"Idempotency-Key": f"deleted-{uuid4()}"}
        async with gateway.http.post("/v1/jobs", data=b"sound", headers=headers) as answer:
            job = (await answer.json())["id"]
        async with running_gateway(gateway.kafka, gateway.dsn, tmp_path_factory.mktemp("replica")) as replica:
            assert (await replica.job(job))["status"] == "queued"
            async with gateway.http.delete(f"/v1/jobs/{job}") as answer:
                assert answer.status == 202
                assert await answer.json() == {"id": job, "status": "deleting"}
            for one in (gateway, replica):

                async def gone(one: RunningGateway = one) -> bool:
                    async with one.http.get(f"/v1/jobs/{job}") as answer:
                        return answer.status == 404

                assert await eventually(gone, seconds=3)
        async with gateway.http.post("/v1/jobs", data=b"sound", headers=headers) as answer:
            await problem(answer, 409, "job-deleted")


TRANSCRIPT = Transcript(
    text="Hello <world>. Good bye.",
    language="en",
    duration=4.0,
    words=(
        Word(word="Hello", start=0.0, end=0.5, confidence=0.9, speaker="0"),
        Word(word="<world>.", start=0.5, end=1.0, speaker="0"),
        Word(word="Good", start=2.0, end=2.5, speaker="1"),
        Word(word="bye.", start=2.5, end=3.0, speaker="1"),
    ),
    utterances=(
        Utterance(start=0.0, end=1.0, text="Hello <world>.", speaker="0"),
        Utterance(start=2.0, end=3.0, text="Good bye.", speaker="1"),
    ),
    provider="pocketsphinx",
)
SPANISH = Translation(
    text="Hola mundo. Adiós.",
    language="es",
    source_language="en",
    duration=4.0,
    utterances=(Utterance(start=0.0, end=1.0, text="Hola mundo."), Utterance(start=2.0, end=3.0, text="Adiós.")),
    provider="apertium",
)


class TestTranscript:
    @pytest.fixture
    async def job(self, gateway: RunningGateway) -> str:
        """A completed job in English with a Spanish translation, and a German one that failed."""
        headers = {"X-Filename": quote('Über "uns".mp4')}
        async with gateway.http.post("/v1/jobs", data=b"sound", headers=headers) as answer:
            job = str((await answer.json())["id"])
        options = json.dumps({"language": "en", "translate": ["es", "de"]})
        await gateway.sql("UPDATE jobs SET options = $2::jsonb WHERE id = $1", UUID(job), options)
        name = layout.transcript(OWNER, UUID(job))
        gateway.store(name, TRANSCRIPT.model_dump_json().encode())
        spanish = layout.translation(OWNER, UUID(job), "es")
        gateway.store(spanish, SPANISH.model_dump_json().encode())
        await gateway.record(job, status="completed", language="en", transcript_blob=name, finished_at=now())
        await gateway.sql(
            "INSERT INTO translations (job_id, language, translator, blob) VALUES ($1, 'es', 'apertium', $2)",
            UUID(job),
            spanish,
        )
        await gateway.sql(
            "INSERT INTO translations (job_id, language, error_code, error_message) VALUES ($1, 'de', $2, $3)",
            UUID(job),
            "no_pair",
            "There is no pair for German.",
        )
        return job

    async def get(self, gateway: RunningGateway, job: str, **query: str) -> tuple[str, str, str]:
        async with gateway.http.get(f"/v1/jobs/{job}/transcript", params=query) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            return await answer.text(), answer.headers["Content-Type"], answer.headers["Content-Disposition"]

    async def test_json_has_everything(self, gateway: RunningGateway, job: str) -> None:
        text, kind, disposition = await self.get(gateway, job)
        assert kind.startswith("application/json")
        assert disposition == ("attachment; filename=\"_ber _uns_.json\"; filename*=UTF-8''%C3%9Cber%20_uns_.json")
        assert Transcript.model_validate_json(text) == TRANSCRIPT
        assert {"text", "language", "duration", "words", "utterances", "paragraphs"} <= json.loads(text).keys()

    async def test_text(self, gateway: RunningGateway, job: str) -> None:
        text, kind, _ = await self.get(gateway, job, format="txt")
        assert kind == "text/plain; charset=utf-8"
        assert "Hello <world>." in text

    async def test_subtitles_can_be_read_by_others(self, gateway: RunningGateway, job: str) -> None:
        srt, _, _ = await self.get(gateway, job, format="srt", speakers="false")
        assert [cue.plaintext for cue in pysubs2.SSAFile.from_string(srt, format_="srt")] == [
            "Hello ‹world›.",
            "Good bye.",
        ]
        vtt, kind, _ = await self.get(gateway, job, format="vtt")
        assert kind.startswith("text/vtt")
        assert [cue.voice for cue in webvtt.from_buffer(io.StringIO(vtt))] != [None, None]

    async def test_a_translation(self, gateway: RunningGateway, job: str) -> None:
        text, _, disposition = await self.get(gateway, job, language="es", format="srt")
        assert "Hola mundo." in text
        assert disposition.endswith(".es.srt")
        assert (await self.get(gateway, job, language="EN"))[0] == (await self.get(gateway, job))[0]

    async def test_a_translation_nobody_asked_for(self, gateway: RunningGateway, job: str) -> None:
        async with gateway.http.get(f"/v1/jobs/{job}/transcript?language=fr") as answer:
            await problem(answer, 404, "not-found")

    async def test_a_translation_that_failed_says_why(self, gateway: RunningGateway, job: str) -> None:
        shown = await gateway.job(job)
        assert [(t["language"], t["status"]) for t in shown["translations"]] == [("es", "completed"), ("de", "failed")]
        async with gateway.http.get(f"/v1/jobs/{job}/transcript?language=de") as answer:
            document = await problem(answer, 409, "job-failed")
        assert document["error"] == {"code": "no_pair", "message": "There is no pair for German."}

    async def test_not_ready_says_how_far(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        await gateway.record(job, status="transcribing")
        async with gateway.http.get(f"/v1/jobs/{job}/transcript") as answer:
            assert (await problem(answer, 409, "not-ready"))["job_status"] == "transcribing"

    async def test_a_failed_job_says_why(self, gateway: RunningGateway) -> None:
        job = (await gateway.submit())["id"]
        await gateway.record(job, status="failed", error_code="no_audio", error_message="There is no audio in it.")
        async with gateway.http.get(f"/v1/jobs/{job}/transcript") as answer:
            document = await problem(answer, 409, "job-failed")
        assert document["detail"] == "There is no audio in it."
        assert document["error"] == {"code": "no_audio", "message": "There is no audio in it."}

    async def test_an_unknown_form_is_named(self, gateway: RunningGateway, job: str) -> None:
        async with gateway.http.get(f"/v1/jobs/{job}/transcript?format=docx") as answer:
            document = await problem(answer, 422, "invalid-request")
        assert [error["field"] for error in document["errors"]] == ["format"]


class TestWebhooks:
    async def test_register_list_and_forget(self, gateway: RunningGateway) -> None:
        address = {"url": "https://example.com/hook", "events": ["job.failed", "job.completed"]}
        async with gateway.http.post("/v1/webhooks", json=address) as answer:
            assert answer.status == 201
            created = await answer.json()
        assert created["secret"].startswith("whsec_")
        assert created["events"] == ["job.completed", "job.failed"]
        async with gateway.http.get("/v1/webhooks") as answer:
            listed = {hook["id"]: hook for hook in (await answer.json())["webhooks"]}
        assert listed[created["id"]]["url"] == address["url"]
        assert created["secret"] not in json.dumps(listed)
        async with gateway.http.delete(f"/v1/webhooks/{created['id']}") as answer:
            assert answer.status == 204
        async with gateway.http.delete(f"/v1/webhooks/{created['id']}") as answer:
            await problem(answer, 404, "not-found")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"url": "http://127.0.0.1/hook"}, "url"),
            ({"url": "http://169.254.169.254/latest"}, "url"),
            ({"url": "file:///etc/passwd"}, "url"),
            ({"url": "https://example.com/\0"}, "url"),
            ({"url": "https://example.com/\ud800"}, "url"),
            ({"url": "https://example.com", "events": []}, "events"),
            ({"url": "https://example.com", "events": ["job.completed", "job.lost"]}, "events.1"),
            ({"url": "https://example.com", "colour": "red"}, "colour"),
            ({}, "url"),
        ],
    )
    async def test_a_bad_one_is_refused_by_name(
        self, gateway: RunningGateway, body: dict[str, object], field: str
    ) -> None:
        async with gateway.http.post("/v1/webhooks", json=body) as answer:
            document = await problem(answer, 422, "invalid-request")
        assert [error["field"] for error in document["errors"]] == [field]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
    async def test_what_is_no_json(self, gateway: RunningGateway, body: bytes) -> None:
        async with gateway.http.post("/v1/webhooks", data=body) as answer:
            await problem(answer, 400, "malformed-request")

    async def test_a_body_far_too_large(self, gateway: RunningGateway) -> None:
        async with gateway.http.post("/v1/webhooks", data=b"x" * 1_000_000) as answer:
            await problem(answer, 413, "too-large")

"""The same again, at the gateway: which earlier job an upload's event names, and when it names none."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from common.events import UploadReceived
from support.gateway import RunningGateway, form, prepare, running_gateway
from support.platform import fresh_database

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
async def gateway(
    kafka_bootstrap: str, postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    dsn = fresh_database(postgres_server_dsn)
    await prepare(kafka_bootstrap, dsn)
    async with running_gateway(
        kafka_bootstrap, dsn, tmp_path_factory.mktemp("gateway"), reuse=True, delete_seconds=0.2
    ) as running:
        yield running


@pytest.fixture
def sound() -> bytes:
    """Bytes that no other test sends."""
    return b"RIFF" + uuid4().bytes


async def completed(gateway: RunningGateway, sound: bytes, **options: str) -> str:
    """A job that the recorder has recorded as completed by the offline engine."""
    job = str((await gateway.submit(sound, **options))["id"])
    await gateway.record(job, status="completed", provider="pocketsphinx", finished_at=NOW, transcript_blob="there")
    return job


async def named(gateway: RunningGateway, sound: bytes, **options: str) -> str | None:
    """The earlier job that is named in the event of an upload."""
    job = await gateway.submit(sound, **options)
    [event] = await gateway.events(job["id"], "upload.received.interactive", "upload.received.bulk")
    assert isinstance(event, UploadReceived)
    return str(event.same_as) if event.same_as else None


async def test_a_completed_job_with_the_same_bytes_and_options_is_named(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound, language="en-GB", translate="es")
    assert await named(gateway, sound, language="en-GB", translate="es") == first


async def test_what_has_no_part_in_the_result_may_differ(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound)
    assert await named(gateway, sound, priority="bulk", callback_url="https://example.com/hook") == first
    assert await named(gateway, sound, audio_format="mp3") == first


async def test_of_several_the_one_with_the_same_audio_stored_is_named(gateway: RunningGateway, sound: bytes) -> None:
    flac = await completed(gateway, sound, audio_format="flac")
    mp3 = await completed(gateway, sound, audio_format="mp3")
    for asked, same in (("flac", flac), ("mp3", mp3)):
        assert await named(gateway, sound, audio_format=asked) == same
    assert await named(gateway, sound) in {flac, mp3}


@pytest.mark.parametrize(
    "options", [{"language": "en-GB"}, {"punctuate": "false"}, {"model": "en-us"}, {"reuse": "false"}]
)
async def test_other_options_are_other_work(gateway: RunningGateway, sound: bytes, options: dict[str, str]) -> None:
    await completed(gateway, sound)
    assert await named(gateway, sound, **options) is None


async def test_other_bytes_are_other_work(gateway: RunningGateway, sound: bytes) -> None:
    await completed(gateway, sound)
    assert await named(gateway, sound + b"x") is None


@pytest.mark.parametrize("status", ["queued", "transcribing", "failed", "cancelled"])
async def test_only_a_completed_job_is_named(gateway: RunningGateway, sound: bytes, status: str) -> None:
    await gateway.record(await completed(gateway, sound), status=status)
    assert await named(gateway, sound) is None


async def test_two_at_once_are_both_worked_for(gateway: RunningGateway, sound: bytes) -> None:
    assert await named(gateway, sound) is None
    assert await named(gateway, sound) is None


async def test_an_engine_that_would_not_be_chosen_now_does_not_count(gateway: RunningGateway, sound: bytes) -> None:
    await gateway.record(await completed(gateway, sound), provider="deepgram")
    assert await named(gateway, sound) is None


async def test_another_owners_job_is_never_named(gateway: RunningGateway, sound: bytes) -> None:
    await gateway.record(await completed(gateway, sound), owner="another")
    assert await named(gateway, sound) is None


async def test_a_job_with_a_translation_that_failed_is_not_named(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound)
    add = "INSERT INTO translations (job_id, language, {}) VALUES ($1, $2, 'x')"
    await gateway.sql(add.format("blob"), UUID(first), "es")
    assert await named(gateway, sound) == first
    await gateway.sql(add.format("error_code"), UUID(first), "fr")
    assert await named(gateway, sound) is None


async def test_a_job_that_did_the_work_comes_before_a_copy(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound)
    copy = await completed(gateway, sound)
    await gateway.record(copy, reused_from=UUID(first))
    assert await named(gateway, sound) == first
    await gateway.record(first, status="failed")
    assert await named(gateway, sound) == copy


async def test_a_deleted_job_is_not_named(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound)
    async with gateway.http.delete(f"/v1/jobs/{first}", timeout=None) as answer:
        assert answer.status == 202  # nobody erases here, so the row is still there
    assert await named(gateway, sound) is None


async def test_a_key_sent_again_is_still_one_job_with_one_event(gateway: RunningGateway, sound: bytes) -> None:
    await completed(gateway, sound)
    headers = {"Idempotency-Key": str(uuid4())}
    jobs = []
    for _ in range(2):
        async with gateway.http.post("/v1/jobs", data=form(sound), headers=headers) as answer:
            jobs.append((await answer.json())["id"])
    assert jobs[0] == jobs[1]
    assert len(await gateway.events(jobs[0], "upload.received.interactive")) == 1


async def test_the_job_says_whose_results_it_has(gateway: RunningGateway, sound: bytes) -> None:
    first = await completed(gateway, sound)
    again = await gateway.submit(sound)
    assert again["reused_from"] is None  # that it may be copied does not say that it is
    await gateway.record(again["id"], status="completed", reused_from=UUID(first))
    assert (await gateway.job(again["id"]))["reused_from"] == first


async def test_an_operator_may_have_everything_done_anew(
    kafka_bootstrap: str, gateway: RunningGateway, sound: bytes
) -> None:
    await completed(gateway, sound)
    async with running_gateway(kafka_bootstrap, gateway.dsn, gateway.blobs.parent, reuse=False) as other:
        assert await named(other, sound) is None

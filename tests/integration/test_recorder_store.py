"""The recorder's batches on a real PostgreSQL: rows, repeats, erasing, and values that cannot be stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from common import layout
from common.blobs import BlobsUnavailable
from common.db.migrate import migrate
from common.db.open_job import open_job
from common.db.pool import open_pool
from common.errors import Permanent, Transient
from common.events import Event, JobCancelled, JobCompleted, JobFailed, ProofDeleted
from common.settings import CommonSettings
from recorder.scratch import open_scratch
from support.platform import fresh_database
from support.recording import Recorder
from support.stories import START, Story


@pytest.fixture(scope="module")
async def pool(postgres_server_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    dsn = SecretStr(fresh_database(postgres_server_dsn))
    await migrate(dsn)
    async with open_pool(CommonSettings(database_url=dsn)) as opened:
        yield opened


@pytest.fixture
def recorder(pool: asyncpg.Pool) -> Recorder:
    return Recorder(pool)


def story_of_a_translated_job(story: Story) -> Sequence[Event]:
    return [
        story.upload(),
        story.progress("transcoder", 1.0, duration=4.5, media={"codec": "pcm_s16le", "channels": 1}),
        story.usage(),
        story.transcript(),
        story.translation("es"),
    ]


async def test_a_whole_job_in_one_batch(recorder: Recorder) -> None:
    story = Story(translate=("es",))
    await recorder.say(story, "hello", "wor\0ld")
    (told,) = await recorder.record(*story_of_a_translated_job(story))
    assert isinstance(told, JobCompleted)
    assert [outcome.language for outcome in told.translations] == ["es"]
    row = await recorder.job(story)
    assert row is not None
    assert (row["status"], row["fraction"], row["filename"], row["announced"]) == ("completed", 1.0, "talk.wav", True)
    assert row["media"] == {"codec": "pcm_s16le", "channels": 1}
    assert row["created_at"] == START
    said = await recorder.rows("SELECT index, text FROM utterances WHERE job_id = $1 ORDER BY index", story.job)
    assert said == [{"index": 0, "text": "hello"}, {"index": 1, "text": "world"}]
    (used,) = await recorder.rows("SELECT cost_usd, tokens FROM usage WHERE job_id = $1", story.job)
    assert used == {"cost_usd": Decimal("0.0003"), "tokens": 0}


async def test_the_same_batch_again_changes_nothing_and_is_silent(recorder: Recorder) -> None:
    story = Story(translate=("es",))
    await recorder.say(story, "hello")
    events = story_of_a_translated_job(story)
    await recorder.record(*events)
    before = await recorder.job(story)
    assert await recorder.record(*events) == []
    assert await recorder.job(story) == before
    (count,) = await recorder.rows("SELECT count(*) FROM usage WHERE job_id = $1", story.job)
    assert count == {"count": 1}


async def test_one_event_a_batch_gives_the_same_row_as_one_batch(recorder: Recorder) -> None:
    one, many = Story(translate=("es",)), Story(translate=("es",))
    await recorder.record(*story_of_a_translated_job(one))
    outputs = [output for event in reversed(story_of_a_translated_job(many)) for output in await recorder.record(event)]
    assert len(outputs) == 1
    rows = [await recorder.job(one), await recorder.job(many)]
    assert rows[0] is not None
    assert rows[1] is not None
    different = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert different == {"id", "source_blob", "transcript_blob"}


async def test_a_crash_before_the_announcement_announces_the_same_again(recorder: Recorder) -> None:
    story = Story()
    events = [story.upload(), story.failed("transcoder")]
    (first,) = await recorder.crash_after(*events)
    (again,) = await recorder.crash_after(*events)
    await recorder.crash_after(story.progress("transcriber", 0.3, duration=99.0))
    assert await recorder.announcer.leftovers() >= 1
    (swept,) = [event for event in recorder.log.published if event.job_id == story.job]
    assert isinstance(first, JobFailed)
    assert first == again == swept
    assert (first.id, first.error) == (swept.id, events[1].error)  # type: ignore[attr-defined]
    assert await recorder.crash_after(*events) == []


async def test_the_row_the_gateway_opened_is_the_one_the_event_gives(recorder: Recorder) -> None:
    opened, told = Story(), Story()
    async with recorder.pool.acquire() as connection:
        await open_job(connection, opened.upload(filename="a\0b.wav", idempotent=True))
        await open_job(connection, opened.upload(filename="second.wav"))
    await recorder.record(told.upload(filename="a\0b.wav", idempotent=True))
    rows = [await recorder.job(opened), await recorder.job(told)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert {name for name in rows[0] if rows[0][name] != rows[1][name]} == {"id", "source_blob"}


async def test_the_row_of_an_address_is_the_same_whoever_opened_it(recorder: Recorder) -> None:
    opened, told = Story(), Story()
    async with recorder.pool.acquire() as connection:
        await open_job(connection, opened.remote_upload())
    await recorder.record(told.remote_upload())
    rows = [await recorder.job(opened), await recorder.job(told)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert {name for name in rows[0] if rows[0][name] != rows[1][name]} == {"id", "source_blob"}
    await recorder.record(opened.fetched(), opened.transcript())
    row = await recorder.job(opened)
    assert row is not None
    assert (row["size"], row["sha256"], row["address"]) == (54_321, "f" * 64, "https://media.example.com/talk.mp3")


async def test_erasing_takes_the_address_and_what_was_fetched(recorder: Recorder) -> None:
    story = Story()
    await recorder.record(story.remote_upload(), story.fetched())
    for name in (layout.address(story.owner, story.job, "a" * 64), layout.original(story.owner, story.job, "f" * 64)):
        await recorder.blobs.write(name, b"secret")
    await recorder.blobs.write(layout.fetched(story.owner, story.job), b"{}")
    await recorder.record(story.control("delete"))
    await recorder.eraser.sweep()
    assert [blob async for blob in recorder.blobs.list(f"users/{story.owner}/originals/{story.job}/")] == []
    assert await recorder.job(story) is None


async def test_what_comes_before_the_upload_waits_for_it(recorder: Recorder) -> None:
    story = Story()
    assert await recorder.record(story.control("cancel")) == []
    row = await recorder.job(story)
    assert row is not None
    assert (row["status"], row["created_at"]) == ("cancelled", None)
    (told,) = await recorder.record(story.upload())
    assert isinstance(told, JobCancelled)


async def test_erasing_leaves_a_bare_id(recorder: Recorder) -> None:
    story = Story(translate=("es",))
    await recorder.say(story, "hello", "world")
    await recorder.record(*story_of_a_translated_job(story))
    delivery, time = uuid4(), START
    await recorder.pool.execute(
        "INSERT INTO webhook_deliveries (id, job_id, owner, event_id, event_type, url, body, created_at, due_at)"
        " VALUES ($1, $2, 'operator', $1, 'job.completed', 'https://example.com/secret', 'hello', $3, $3)",
        delivery,
        story.job,
        time,
    )
    await recorder.record(story.control("delete", at=99))
    await recorder.eraser.sweep()

    for table, column in (("jobs", "id"), ("translations", "job_id"), ("utterances", "job_id")):
        assert await recorder.rows(f"SELECT * FROM {table} WHERE {column} = $1", story.job) == []
    (bare,) = await recorder.rows("SELECT owner, languages, sweep, rows FROM erased_jobs WHERE job_id = $1", story.job)
    assert bare == {"owner": None, "languages": None, "sweep": False, "rows": 4}
    (sent,) = await recorder.rows("SELECT body, url, failed_at FROM webhook_deliveries WHERE id = $1", delivery)
    assert (sent["body"], sent["url"]) == (None, "")
    assert sent["failed_at"] is not None
    assert await recorder.rows("SELECT 1 AS kept FROM usage WHERE job_id = $1", story.job) == [{"kept": 1}]
    assert [blob async for blob in recorder.blobs.list(f"users/{story.owner}/transcripts/{story.job}/")] == []
    assert set(recorder.log.forgotten) == {
        ("transcript.completed", str(story.job)),
        ("translation.completed", f"{story.job}/es"),
        ("job.completed", str(story.job)),
        ("job.failed", str(story.job)),
        ("job.cancelled", str(story.job)),
    }
    (proof,) = recorder.log.published
    assert isinstance(proof, ProofDeleted)
    assert (proof.blobs, proof.rows, proof.tombstones) == (1, 4, 5)


async def test_a_worker_that_comes_late_is_swept_after_and_leaves_no_row(recorder: Recorder) -> None:
    story = Story()
    await recorder.record(story.upload(), story.control("delete"))
    await recorder.eraser.sweep()
    await recorder.say(story, "too late")
    assert await recorder.record(story.progress("transcriber", 0.5), story.transcript(), story.translation("fr")) == []
    assert await recorder.job(story) is None
    await recorder.eraser.sweep()
    assert [blob async for blob in recorder.blobs.list(f"users/{story.owner}/")] == []
    assert ("translation.completed", f"{story.job}/fr") in recorder.log.forgotten
    async with recorder.pool.acquire() as connection:
        await open_job(connection, story.upload())
    assert await recorder.job(story) is None


async def test_an_owner_that_cannot_own_blobs_stops_no_sweep(recorder: Recorder) -> None:
    story = Story(owner="../../etc")
    await recorder.record(story.control("delete"))
    await recorder.eraser.sweep()
    assert await recorder.rows("SELECT sweep FROM erased_jobs WHERE job_id = $1", story.job) == [{"sweep": False}]


async def test_a_sweep_waits_for_a_store_that_is_down(recorder: Recorder) -> None:
    story = Story()
    await recorder.say(story, "hello")
    await recorder.record(story.upload(), story.control("delete"))
    recorder.blobs.down = True
    with pytest.raises(BlobsUnavailable):
        await recorder.eraser.sweep()
    assert recorder.log.published == []
    recorder.blobs.down = False
    await recorder.eraser.sweep()
    (proof,) = recorder.log.published
    assert isinstance(proof, ProofDeleted)
    assert proof.blobs == 1


async def test_deleting_again_is_harmless(recorder: Recorder) -> None:
    story = Story()
    await recorder.record(story.upload(), story.control("delete"))
    await recorder.eraser.sweep()
    await recorder.record(story.upload(), story.control("delete"))
    await recorder.eraser.sweep()
    assert len([event for event in recorder.log.published if isinstance(event, ProofDeleted)]) == 1
    assert await recorder.job(story) is None


async def test_an_announcement_that_overtakes_its_erasure_is_forgotten_again(recorder: Recorder) -> None:
    story = Story()
    outputs = await recorder.crash_after(story.upload(), story.failed("transcoder"))
    await recorder.record(story.control("delete"))
    await recorder.eraser.sweep()
    recorder.log.forgotten.clear()
    await recorder.announcer.acknowledged(outputs)
    await recorder.eraser.sweep()
    assert ("job.failed", str(story.job)) in recorder.log.forgotten


async def test_a_sweep_asked_for_during_a_sweep_is_not_lost(recorder: Recorder) -> None:
    story = Story()
    await recorder.record(story.upload(), story.control("delete"))
    (sweep,) = [sweep for sweep in await recorder.store.to_sweep(1000) if sweep.job_id == story.job]
    await recorder.record(story.transcript())
    await recorder.store.swept(sweep)
    assert story.job in {sweep.job_id for sweep in await recorder.store.to_sweep(1000)}
    await recorder.eraser.sweep()


async def test_a_store_that_is_down_delays_the_batch_and_a_missing_transcript_does_not(recorder: Recorder) -> None:
    story = Story()
    recorder.blobs.down = True
    with pytest.raises(Transient):
        await recorder.record(story.upload(), story.transcript())
    recorder.blobs.down = False
    (told,) = await recorder.record(story.upload(), story.transcript())
    assert isinstance(told, JobCompleted)


async def test_text_that_postgres_refuses_is_cleaned(recorder: Recorder) -> None:
    story = Story()
    hostile = story.progress("transcoder", 0.5, detail="a\0b", media={"co\0dec": "x\0y"})
    await recorder.record(story.upload(filename="\0"), hostile, story.failed("transcriber", code="bad\0code"))
    row = await recorder.job(story)
    assert row is not None
    assert (row["filename"], row["media"], row["error_code"]) == ("", {"codec": "xy"}, "badcode")


@pytest.mark.parametrize("words", [2**31, 2**80])
async def test_a_number_that_does_not_fit_is_permanent_and_harms_no_neighbour(recorder: Recorder, words: int) -> None:
    bad, good = Story(), Story()
    with pytest.raises(Permanent):
        await recorder.record(good.upload(), bad.upload(), bad.transcript(words=words))
    await recorder.record(good.upload())
    assert await recorder.job(good) is not None
    assert await recorder.job(bad) is None


async def test_two_recorders_at_once_lose_nothing(recorder: Recorder, pool: asyncpg.Pool) -> None:
    stories = [Story(translate=("es",)) for _ in range(30)]
    other = Recorder(pool)
    first = [event for story in stories for event in (story.upload(), story.translation("es"))]
    second = [event for story in reversed(stories) for event in (story.progress("transcoder", 0.4), story.transcript())]
    told = await asyncio.gather(recorder.record(*first), other.record(*second))
    completed = {event.job_id for outputs in told for event in outputs if isinstance(event, JobCompleted)}
    assert completed == {story.job for story in stories}


async def test_offsets_are_noted_with_the_rows(recorder: Recorder) -> None:
    story = Story()
    await recorder.record(story.upload(), story.progress("transcoder", 0.1), story.progress("transcoder", 0.2))
    found = await recorder.rows("SELECT next_offset FROM projection_offsets WHERE topic = 'stage.progress'")
    assert found[0]["next_offset"] >= 2  # type: ignore[operator]


async def test_what_is_held_keeps_its_row_in_a_rebuild(recorder: Recorder) -> None:
    held, erased = Story().upload(), Story().upload()
    for event in (held, erased):
        await recorder.pool.execute(
            "INSERT INTO held_jobs (job_id, owner, event, held_at) VALUES ($1, $2, $3, now())",
            event.job_id,
            event.owner,
            event.model_dump(mode="json"),
        )
        await open_job(recorder.pool, event)
    before = await recorder.rows("SELECT * FROM jobs WHERE id = $1", held.job_id)
    await recorder.pool.execute(
        "INSERT INTO erased_jobs (job_id, owner, erased_at) VALUES ($1, $2, now())", erased.job_id, erased.owner
    )
    async with open_scratch(recorder.pool) as scratch, scratch.swap():
        pass
    assert await recorder.rows("SELECT * FROM jobs") == before

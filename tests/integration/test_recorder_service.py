"""The recorder as a process on real Kafka and PostgreSQL: crashes, outages, and a rebuild that gives the same rows."""

import asyncio
import random
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from common import layout, topics
from common.blobs.folder import FolderBlobs
from common.bus.follow import Followed, Log, read_to_end
from common.bus.producer import Producer
from common.db.migrate import migrate
from common.events import Event, JobCompleted, ProofDeleted, Terminal
from common.transcript import Transcript, Utterance
from recorder.rebuild import Rebuilt, rebuild
from recorder.settings import Settings
from support.platform import fresh_database, running_kafka, running_postgres
from support.recorder_process import environment, recorder_process, rows_of
from support.stories import Story
from support.waiting import eventually

ENDS = ("job.completed", "job.failed", "job.cancelled")


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A Kafka of our own: a rebuild reads all there is, so nobody else may write."""
    with running_kafka() as running:
        yield running.bootstrap


@pytest.fixture(scope="module")
async def producer(kafka: str) -> AsyncIterator[Producer]:
    async with opened(kafka) as producer:
        yield producer


@asynccontextmanager
async def opened(kafka: str) -> AsyncIterator[Producer]:
    """A producer on a Kafka that has our topics from then on."""
    await topics.apply(kafka, partitions=3)
    producer = Producer(kafka, service="test")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture(scope="module")
async def dsn(postgres_server_dsn: str) -> str:
    """One database for all tests here: the recorder's group reads each event once."""
    made = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(made))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("recorder")
    (made / "blobs").mkdir()
    return made


@pytest.fixture(scope="module")
def env(kafka: str, dsn: str, folder: Path) -> dict[str, str]:
    return environment(kafka, dsn, folder / "blobs")


async def fetch(dsn: str, query: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *arguments)  # type: ignore[no-any-return]
    finally:
        await connection.close()


async def settle(dsn: str, jobs: list[Story], erased: list[Story]) -> None:
    """Wait until each job has ended and was announced, or was erased and swept."""

    async def settled() -> bool:
        ended = await fetch(dsn, "SELECT id FROM jobs WHERE announced AND id = ANY($1)", [s.job for s in jobs])
        swept = await fetch(
            dsn, "SELECT 1 FROM erased_jobs WHERE NOT sweep AND job_id = ANY($1)", [s.job for s in erased]
        )
        return len(ended) == len(jobs) and len(swept) == len(erased)

    await eventually(settled, 60)


async def caught_up(dsn: str, kafka: str) -> None:
    """Wait until every event that the recorder records is in the rows."""
    ends: dict[tuple[str, int], int] = {}
    ours = [
        *("upload.received.interactive", "stage.progress", "stage.failed", "transcript.completed"),
        *("translation.completed", "usage.recorded", "job.control"),
    ]
    async for read in read_to_end(kafka, ours):
        if read.event is not None:
            ends[read.topic, read.partition] = read.offset + 1

    async def there() -> bool:
        rows = await fetch(dsn, "SELECT topic, partition, next_offset FROM projection_offsets")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows} == ends

    await eventually(there, 60)


async def ends_of(kafka: str, jobs: list[Story]) -> Counter[tuple[str, str]]:
    """How often each end was announced: by job and the whole of what was said."""
    ours = {story.job for story in jobs}
    found: Counter[tuple[str, str]] = Counter()
    async for read in read_to_end(kafka, ENDS):
        if isinstance(read.event, Terminal) and read.event.job_id in ours:
            found[str(read.event.job_id), read.event.model_dump_json()] += 1
    return found


async def tell(story: Story, blobs: FolderBlobs, kind: int) -> list[Event]:
    """One of several ways a job can go."""
    words = tuple(Utterance(start=float(n), end=n + 0.9, text=f"word {n}", speaker="1") for n in range(5))
    transcript = Transcript(text="hello", language="en", duration=4.5, utterances=words)
    await blobs.write(layout.original(story.owner, story.job, "5" * 64), b"RIFF")
    await blobs.write(layout.transcript(story.owner, story.job), transcript.model_dump_json().encode())
    way: list[Event] = [
        story.upload(),
        *(story.progress("transcoder", n / 4, at=1 + n / 10, duration=4.5, media={"codec": "mp3"}) for n in range(5)),
        story.progress("transcriber", 0.5, at=5),
    ]
    done: list[Event] = [story.usage(), story.transcript(), story.translation("es"), story.translation("fr", at=25)]
    return [
        *way,
        *(
            done,
            [story.failed("transcoder"), story.progress("transcriber", 0.7, at=16)],
            [story.control("cancel"), story.transcript(at=13)],
            [story.transcript(), story.failed("translator", "es"), story.translation("fr")],
            [*done, story.control("delete", at=30), story.progress("translator", 0.9, at=31)],
            [story.transcript(), story.control("cancel"), story.translation("es")],
        )[kind],
    ]


async def publish(producer: Producer, told: list[list[Event]], seed: int, *, seconds: float) -> None:
    """Publish jobs side by side over some seconds, each in its order, with some events told twice."""
    pause = seconds / sum(map(len, told))
    chance = random.Random(seed)
    left = [list(events) for events in told]
    while left:
        events = chance.choice(left)
        event = events.pop(0)
        await producer.publish_many([event] * chance.choice([1, 1, 1, 2]))
        await asyncio.sleep(pause)
        if not events:
            left.remove(events)


async def test_an_end_is_recorded_before_it_is_announced_and_is_part_of_its_trace(
    env: dict[str, str], dsn: str, kafka: str, folder: Path, producer: Producer
) -> None:
    story = Story(translate=("es",))
    async with recorder_process(env, folder / "recorder.log") as process, Log(kafka, ENDS) as ends:
        await producer.publish_many([story.upload(), story.transcript(), story.translation("es")])
        async with asyncio.timeout(60):
            end = await anext(aiter(ends))
        (row,) = await fetch(dsn, "SELECT status FROM jobs WHERE id = $1", story.job)
        assert row["status"] == "completed"
        assert isinstance(end.event, JobCompleted)
        told = ["upload.received.interactive", "transcript.completed", "translation.completed"]
        assert trace_of(end) in {trace_of(read) async for read in read_to_end(kafka, told)}
        process.terminate()
        assert await process.wait() == 0


def trace_of(read: Followed) -> bytes:
    return dict(read.headers)["traceparent"].split(b"-")[1]


@pytest.mark.slow
async def test_every_job_ends_once_though_the_recorder_is_killed(
    env: dict[str, str], dsn: str, kafka: str, folder: Path, producer: Producer
) -> None:
    blobs = FolderBlobs(folder / "blobs")
    stories = [Story(translate=("es", "fr")) for _ in range(48)]
    told = [await tell(story, blobs, number % 6) for number, story in enumerate(stories)]
    erased = [story for number, story in enumerate(stories) if number % 6 == 4]
    kept = [story for story in stories if story not in erased]
    chance = random.Random(7)

    async def recorded() -> int:
        rows = await fetch(dsn, "SELECT coalesce(sum(next_offset), 0)::int AS events FROM projection_offsets")
        return int(rows[0]["events"])

    cut_short = []
    for part in range(4):
        before = await recorded()
        telling = asyncio.create_task(publish(producer, told[part::4], seed=part, seconds=4))
        async with recorder_process(env, folder / "recorder.log") as process:

            async def works(before: int = before) -> bool:
                return await recorded() > before

            await eventually(works, 60)
            await asyncio.sleep(chance.uniform(0.0, 0.3))  # any moment of its work will do to be killed at
            process.kill()
            cut_short.append(not telling.done())
        await telling
    assert any(cut_short), "it was killed while there was work"
    async with recorder_process(env, folder / "recorder.log"):
        await settle(dsn, kept, erased)

    announced = await ends_of(kafka, kept)
    assert len(announced) == len(kept), "one end for each job, the same however often it was told"
    rows = await fetch(dsn, "SELECT status FROM jobs WHERE id = ANY($1)", [story.job for story in kept])
    assert Counter(row["status"] for row in rows) == {"completed": 16, "failed": 8, "cancelled": 16}
    usage = await fetch(dsn, "SELECT id FROM usage WHERE job_id = ANY($1)", [story.job for story in stories])
    assert len(usage) == 16
    for story in erased:
        for prefix in layout.job_prefixes(story.owner, story.job):
            assert [blob async for blob in blobs.list(prefix)] == []
    proofs = {
        read.event.job_id
        async for read in read_to_end(kafka, [ProofDeleted.type])
        if isinstance(read.event, ProofDeleted)
    }
    assert {story.job for story in erased} <= proofs
    latest: dict[str | None, Event | None] = {}
    async for read in read_to_end(kafka, ["transcript.completed", "translation.completed", *ENDS]):
        latest[read.key] = read.event
    for story in erased:
        assert [event for key, event in latest.items() if key and key.startswith(str(story.job)) and event] == []


async def test_a_rebuild_gives_the_same_rows(
    env: dict[str, str], dsn: str, kafka: str, folder: Path, producer: Producer, postgres_server_dsn: str
) -> None:
    blobs = FolderBlobs(folder / "blobs")
    stories = [Story(translate=("es", "fr")) for _ in range(6)]
    async with recorder_process(env, folder / "recorder.log"):
        for kind, story in enumerate(stories):
            await producer.publish_many(await tell(story, blobs, kind))
        await producer.publish(Story().upload())
        await producer.publish(Story().progress("transcriber", 0.25))
        await settle(dsn, [story for story in stories if story is not stories[4]], [stories[4]])
        await caught_up(dsn, kafka)
    live = await rows_of(dsn)
    assert all(live.values())
    bare = "SELECT job_id, erased_at, sweep, proved, owner, languages FROM erased_jobs ORDER BY job_id"
    erased = await fetch(dsn, bare)

    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "UPDATE jobs SET status = 'nonsense', fraction = 7; DELETE FROM usage; DELETE FROM utterances"
    )
    await connection.close()
    status, said = await command(env, "rebuild")
    assert (status, said[-1].split(" from ")[0]) == (0, f"rebuilt {len(live['jobs'])} jobs")
    assert "announced 0 and erased 0" in said[-1]
    progress = [tuple(map(int, re.findall(r"\d+", line))) for line in said[:-1]]
    assert progress == sorted(progress), "it only goes forward"
    assert progress[-1][0] == progress[-1][1] > len(live["jobs"])
    assert len({total for _, total in progress}) == 1
    assert await rows_of(dsn) == live

    another = fresh_database(postgres_server_dsn)
    assert await command(env | {"DATABASE_URL": another}, "migrate") == (0, [])
    await run_rebuild(env, another)
    assert await rows_of(another) == live
    assert await fetch(another, bare) == erased


@pytest.mark.slow
async def test_a_rebuild_beside_a_working_recorder_loses_nothing(
    env: dict[str, str], dsn: str, kafka: str, folder: Path, producer: Producer
) -> None:
    blobs = FolderBlobs(folder / "blobs")
    stories = [Story(translate=("es", "fr")) for _ in range(24)]
    told = [await tell(story, blobs, (0, 1, 3)[number % 3]) for number, story in enumerate(stories)]
    async with recorder_process(env, folder / "recorder.log"):
        telling = asyncio.create_task(publish(producer, told, seed=2, seconds=5))
        rebuilds = 0
        while not telling.done():
            await run_rebuild(env, dsn)
            rebuilds += 1
        await telling
        await settle(dsn, stories, [])
        await caught_up(dsn, kafka)
    assert rebuilds > 0
    live = await rows_of(dsn)
    await run_rebuild(env, dsn)
    assert await rows_of(dsn) == live


async def test_an_unknown_command_is_refused(env: dict[str, str]) -> None:
    assert await command(env, "rebuidl") == (2, [])


async def test_a_rebuild_without_postgres_says_so(
    env: dict[str, str], producer: Producer, unused_tcp_port: int
) -> None:
    away = env | {"DATABASE_URL": f"postgresql://u:hunter2@127.0.0.1:{unused_tcp_port}/x"}
    assert await command(away, "rebuild") == (1, [])


async def command(env: dict[str, str], name: str) -> tuple[int | None, list[str]]:
    """Run `python -m recorder NAME`; its exit status and the lines it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "recorder", name), env=env, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().splitlines()


async def run_rebuild(env: dict[str, str], dsn: str) -> Rebuilt:
    return await rebuild(
        Settings(kafka=env["SCRIBEWIRE_KAFKA"], database_url=SecretStr(dsn), blobs=env["SCRIBEWIRE_BLOBS"], batch=40)
    )


async def test_rows_follow_when_postgres_was_away(folder: Path) -> None:
    stories = [Story() for _ in range(10)]
    # A Kafka of its own too: what goes into this database would be missing in the one of the others.
    with running_postgres() as server, running_kafka() as own:
        await migrate(SecretStr(server.dsn))
        env = environment(own.bootstrap, server.dsn, folder / "blobs")
        async with opened(own.bootstrap) as producer, recorder_process(env, folder / "outage.log"):
            await producer.publish_many([story.upload() for story in stories])

            async def open_rows() -> bool:
                rows = await fetch(
                    server.dsn, "SELECT 1 FROM jobs WHERE id = ANY($1)", [story.job for story in stories]
                )
                return len(rows) == len(stories)

            await eventually(open_rows, 60)
            server.kill()
            await producer.publish_many([story.transcript() for story in stories])
            server.start()
            await settle(server.dsn, stories, [])
        assert set((await ends_of(own.bootstrap, stories)).values()) == {1}

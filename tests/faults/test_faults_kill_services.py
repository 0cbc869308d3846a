"""A hundred jobs in flight while every service is killed in turn and a second transcriber comes and goes."""

import asyncio
import random
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scribewire.client import Client
from scribewire.config import Gateway
from scribewire.errors import Unreachable
from scribewire_local.parts import environment
from scribewire_local.ports import free_port
from scribewire_local.settings import LocalSettings
from support.fake_deepgram import FakeDeepgram
from support.history import check, observe, rows
from support.receiver import receiver as hooks
from support.running import Running, running, until
from support.thread_loop import ThreadLoop
from support.tones import recording

JOBS = 100
SEGMENTS = 4
SEED = 7
LEASE_TTL = 6.0
SERVICES = ("gateway", "transcoder", "transcriber", "translator", "recorder", "notifier")


@pytest.fixture(scope="module")
def loop():
    thread = ThreadLoop()
    yield thread
    thread.close()


@pytest.fixture(scope="module")
def engine(loop):
    chance = random.Random(SEED)
    with loop.entered(FakeDeepgram(latency=lambda _call: chance.uniform(2.0, 6.0))) as fake:
        yield fake


@pytest.fixture(scope="module")
def receiver(loop):
    with loop.entered(hooks()) as there:
        yield there


@pytest.fixture(scope="module")
def platform(engine):
    env = {
        "DEEPGRAM_API_KEY": engine.key,
        "DEEPGRAM_BASE_URL": engine.url,
        "SCRIBEWIRE_WEBHOOK_ALLOW_PRIVATE": "1",
        "SCRIBEWIRE_LEASE_TTL": str(LEASE_TTL),
        "SCRIBEWIRE_SEGMENT_SECONDS": "1.5",
        "SCRIBEWIRE_RETRY_DELAYS": "[1, 5, 20]",
    }
    with running(env) as up:
        yield up


def submit(platform: Running, folder: Path, count: int) -> list[str]:
    """Submit recordings that all differ; the client repeats under its key what a killed gateway did not answer."""
    folder.mkdir()

    def one(number: int) -> str:
        file = folder / f"{number}.wav"
        file.write_bytes(recording(SEED * 1000 + number, bursts=SEGMENTS))
        with Client(Gateway(platform.url, platform.key), patience=120) as client:
            while True:
                try:
                    job = client.submit(
                        file,
                        {"priority": "bulk" if number % 3 == 0 else "interactive"},
                        idempotency_key=f"{folder.name}-{number}",
                    )
                except Unreachable:  # a gateway that is down refuses connections until it is up again
                    time.sleep(0.3)
                else:
                    return str(job["id"])

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(count)))


def second_transcriber(platform: Running, log: Path) -> subprocess.Popen[bytes]:
    own = environment(platform.home, LocalSettings(home=platform.home))
    env = {**platform.env, **own, "SCRIBEWIRE_HEALTH_PORT": str(free_port())}
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", "transcriber"], env=env, stdout=out, stderr=out)


def in_flight(engine: FakeDeepgram) -> int:
    return sum(call.ended is None for call in list(engine.calls))


def join_and_leave(platform: Running, engine: FakeDeepgram, log: Path) -> None:
    """A second transcriber shares the work for a while and leaves as a rolling update would have it."""
    other = second_transcriber(platform, log)
    try:
        alone = max(8, in_flight(engine))
        until(lambda: in_flight(engine) > alone + 4, seconds=90, why="both transcribers work")
    finally:
        other.terminate()
        assert other.wait(60) == 0, log.read_text()[-3000:]


def dsn(platform: Running) -> str:
    return environment(platform.home, LocalSettings(home=platform.home))["DATABASE_URL"]


def test_every_job_ends_once_whoever_is_killed(platform, engine, receiver, tmp_path, loop):
    with Client(Gateway(platform.url, platform.key)) as client:
        client.add_webhook(receiver.url)
    address = dsn(platform)
    bootstrap = environment(platform.home, LocalSettings(home=platform.home))["SCRIBEWIRE_KAFKA"]
    kills: list[tuple[float, str]] = []

    with ThreadPoolExecutor(1) as background:
        submitting = background.submit(submit, platform, tmp_path / "media", JOBS)
        until(lambda: in_flight(engine) >= 8, seconds=60, why="the slots are busy")
        join_and_leave(platform, engine, tmp_path / "second.log")
        for service in SERVICES:
            old = platform.kill(service)
            kills.append((time.time(), service))
            platform.restarted(service, old)
            assert in_flight(engine) or service != "transcriber"
        assert len({call.sha256 for call in engine.calls}) < JOBS * SEGMENTS, "all was done before the last kill"
        accepted = submitting.result(180)

    def all_ended() -> bool:
        jobs, _ = asyncio.run(rows(address))
        return set(accepted) <= {job for job, status in jobs.items() if status in {"completed", "failed"}}

    until(all_ended, seconds=240, every=1, why="every job ended")
    until(lambda: len({h.id for h in receiver.received}) >= JOBS, seconds=60, why="every ending was announced")

    history = asyncio.run(observe(bootstrap, address, accepted, receiver.received))
    finding = check(history)
    assert finding.clean, finding
    assert set(history.rows.values()) == {"completed"}
    assert len(set(accepted)) == JOBS
    assert all(history.usage_rows[job] == SEGMENTS for job in accepted)

    # Paid twice is explained only by a payer that was killed between its call and its result.
    calls = defaultdict(list)
    for call in engine.calls:
        calls[call.sha256].append(call)
    assert len(calls) == JOBS * SEGMENTS
    killed = [at for at, service in kills if service == "transcriber"]
    unexplained = {
        sha: [(c.started, c.ended, c.outcome) for c in made]
        for sha, made in calls.items()
        if any(not any(c.started - 0.5 <= at <= (c.ended or at) + 1.0 for at in killed) for c in made[:-1])
    }
    paid_twice = sum(len(made) - 1 for made in calls.values())
    print(f"{JOBS} jobs, kills {[s for _, s in kills]}, redelivered {history.redelivered}, paid twice {paid_twice}")
    assert not unexplained, unexplained
    assert paid_twice + history.redelivered > 0, "nothing was redelivered, so the run proves nothing"

"""The offline recogniser for real: word error rates, a loop that stays free, workers that hang, die or are orphaned."""

import asyncio
import itertools
import math
import os
import random
import signal
import struct
import subprocess
import sys
import time
import wave
from pathlib import Path

import jiwer
import psutil
import pytest

from common.errors import Permanent, Transient
from common.options import JobOptions
from support.media import ffmpeg_program
from support.segments import wav
from support.waiting import until
from transcriber.providers.pocketsphinx import Pocketsphinx
from transcriber.providers.workers import WorkerLost, Workers

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
RECORDINGS = ROOT.parent / "shared" / "audio"

NORMAL = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.SubstituteRegexes({r"[^a-z' ]": " "}),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)
SPOKEN = {
    "lj.wav": "unless a system is established for the frequent formal review of activities thereunder in this regard",
    "jfk.flac": "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country",
    "english.wav": "one two three",
}


def as_wav(source: Path, folder: Path) -> Path:
    """What the transcoder makes of a file."""
    target = folder / f"{source.stem}.wav"
    command = [
        ffmpeg_program(),
        "-v",
        "error",
        "-y",
        "-i",
        source,
        "-ac",
        "1",
        "-ar",
        "16000",
        "-c:a",
        "pcm_s16le",
        target,
    ]
    subprocess.run(command, check=True)
    return target


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def error_rate(spoken: str, heard: str) -> float:
    return jiwer.wer(spoken, heard, reference_transform=NORMAL, hypothesis_transform=NORMAL)


@pytest.fixture(scope="module")
async def pocketsphinx():
    async with Pocketsphinx(workers=1) as recogniser:
        yield recogniser


async def hear(recogniser, path):
    return await recogniser.recognise(path, options=JobOptions(), duration=seconds(path))


@pytest.mark.parametrize("name", ["monologue.wav", "dialogue.wav", "video.mp4"])
async def test_the_samples_are_heard_almost_word_for_word(pocketsphinx, tmp_path, name):
    source = SAMPLES / name
    heard = await hear(pocketsphinx, as_wav(source, tmp_path))
    assert error_rate(source.with_suffix(".txt").read_text(), heard.text) < 0.15


@pytest.mark.parametrize(("name", "limit"), [("lj.wav", 0.20), ("jfk.flac", 0.30), ("english.wav", 0.01)])
async def test_real_recordings_are_heard(pocketsphinx, tmp_path, name, limit):
    source = RECORDINGS / name
    if not source.exists():
        pytest.skip(f"{name} is not on this machine")
    heard = await hear(pocketsphinx, as_wav(source, tmp_path))
    assert error_rate(SPOKEN[name], heard.text) < limit


async def test_words_have_times_and_confidence_and_no_marks(pocketsphinx, tmp_path):
    path = as_wav(SAMPLES / "dialogue.wav", tmp_path)
    words = (await hear(pocketsphinx, path)).words
    assert all(w.word.replace("'", "").isalpha() for w in words)
    assert all(0 <= w.start < w.end <= seconds(path) + 0.02 for w in words)
    assert all(a.end <= b.start + 0.011 for a, b in itertools.pairwise(words))
    assert all(0 <= w.confidence <= 1 for w in words)
    assert any(w.confidence < 1 for w in words)


async def test_the_same_audio_gives_the_same_words_whatever_was_heard_before(pocketsphinx, tmp_path):
    path, other = as_wav(SAMPLES / "video.mp4", tmp_path), as_wav(SAMPLES / "monologue.wav", tmp_path)
    first = await hear(pocketsphinx, path)
    await hear(pocketsphinx, other)
    assert await hear(pocketsphinx, path) == first


def noise(loudness: float) -> bytes:
    chance = random.Random(1)
    return b"".join(struct.pack("<h", round(chance.gauss(0, loudness))) for _ in range(48_000))


def tones(*pitches: float) -> bytes:
    samples = (sum(2000 * math.sin(2 * math.pi * p * i / 16_000) for p in pitches) for i in range(48_000))
    return b"".join(struct.pack("<h", round(sample)) for sample in samples)


@pytest.mark.parametrize(
    "sound",
    [b"\0\0" * 48_000, b"", noise(3), noise(300), noise(3000), tones(440), tones(254, 331)],
    ids=["silence", "nothing", "faint noise", "hiss", "loud noise", "tone", "chord"],
)
async def test_where_nobody_speaks_nothing_is_heard(pocketsphinx, tmp_path, sound):
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(sound))
    heard = await hear(pocketsphinx, path)
    assert (heard.text, heard.words) == ("", ())


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio at all" * 100])
async def test_a_file_that_is_no_wav_is_refused_and_the_worker_lives_on(pocketsphinx, tmp_path, content):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(Permanent) as error:
        await pocketsphinx.recognise(path, options=JobOptions(), duration=1)
    assert error.value.code == "audio_refused"
    assert str(path) not in error.value.message


async def test_a_file_that_cannot_be_read_is_the_stores_trouble_not_the_audios(pocketsphinx, tmp_path):
    with pytest.raises(OSError, match=r"^No such file or directory$"):
        await pocketsphinx.recognise(tmp_path / "gone.wav", options=JobOptions(), duration=1)


async def test_the_event_loop_stays_free_while_speech_is_recognised(pocketsphinx, tmp_path):
    """Speech blocks the loop for seconds if it blocks it; the best of three tells that from a busy machine."""
    stalls = [await longest_stall(pocketsphinx, as_wav(SAMPLES / "video.mp4", tmp_path)) for _ in range(3)]
    assert min(stalls) < 0.2


async def longest_stall(pocketsphinx, path):
    worst, ticks = 0.0, 0
    work = asyncio.create_task(hear(pocketsphinx, path))
    while not work.done():
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        worst, ticks = max(worst, time.perf_counter() - before - 0.005), ticks + 1
    assert (await work).text
    assert ticks > 20
    return worst


def stub(folder: Path, body: str) -> str:
    """A worker's module that is ready at once and then does as told."""
    name = f"stub_{abs(hash(body))}"
    (folder / f"{name}.py").write_text(
        "import sys, time, os, signal\n"
        "from transcriber.providers.pocketsphinx_worker import read, write, die_with_parent\n"
        "die_with_parent(int(sys.argv[1]))\n"
        "write(sys.stdout.buffer, {'ready': True, 'pid': os.getpid()})\n"
        "while (request := read(sys.stdin.buffer)) is not None:\n"
        f"    {body}\n"
    )
    return name


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


async def test_a_worker_that_dies_is_a_transient_failure_and_another_takes_its_place(stubs):
    crash, answer = "os.kill(os.getpid(), signal.SIGSEGV)", "write(sys.stdout.buffer, {'words': []})"
    module = stub(stubs, f"{crash} if request['audio'] == 'bad' else {answer}")
    async with Pocketsphinx(workers=1, module=module) as recogniser:
        with pytest.raises(Transient) as error:
            await recogniser.recognise(Path("bad"), options=JobOptions(), duration=1)
        assert error.value.code == "recogniser_lost"
        assert (await recogniser.recognise(Path("good"), options=JobOptions(), duration=1)).text == ""


async def test_a_worker_that_hangs_is_killed_at_its_limit(stubs):
    module = stub(stubs, "write(sys.stderr.buffer, {}) if not request else time.sleep(600)")
    async with Pocketsphinx(workers=1, module=module, pace=0.1, grace=0.2) as recogniser:
        began = time.monotonic()
        with pytest.raises(Transient):
            await recogniser.recognise(Path("x"), options=JobOptions(), duration=1)
        assert time.monotonic() - began < 10
        assert not [p for p in psutil.Process().children() if module in " ".join(p.cmdline())]


async def test_a_request_that_is_given_up_ends_its_worker(stubs):
    workers = Workers(stub(stubs, "time.sleep(600)"), size=1)
    asking = asyncio.create_task(workers.ask({"audio": "x"}, limit=600))
    await asyncio.to_thread(until, lambda: len(workers._all) == 1, seconds=10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not workers._all


async def test_workers_can_be_warm_before_they_are_asked(stubs):
    workers = Workers(stub(stubs, "write(sys.stdout.buffer, {'pid': os.getpid()})"), size=2)
    await workers.warm()
    warm = {worker.pid for worker in workers._all}
    assert len(warm) == 2
    assert (await workers.ask({}, limit=10))["pid"] in warm
    await workers.stop()


async def test_a_module_that_cannot_start_is_a_lost_worker():
    with pytest.raises(WorkerLost):
        await Workers("transcriber.no_such_module", size=1).ask({}, limit=5)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_workers_die_with_a_service_that_is_killed(tmp_path):
    path = as_wav(SAMPLES / "monologue.wav", tmp_path)
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom common.options import JobOptions\n"
        "from transcriber.providers.pocketsphinx import Pocketsphinx\n"
        "async def main():\n"
        "    async with Pocketsphinx(workers=1) as p:\n"
        "        while True: await p.recognise(Path(sys.argv[1]), options=JobOptions(), duration=20)\n"
        "asyncio.run(main())\n"
    )
    service = subprocess.Popen([sys.executable, "-c", program, path])
    try:
        (worker,) = until(lambda: psutil.Process(service.pid).children(), seconds=30)
        until(lambda: worker.cpu_times().user > 0.6, seconds=60, why="the worker is in mid-work")
        os.kill(service.pid, signal.SIGKILL)
        service.wait(10)
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, seconds=5)
    finally:
        service.kill()
        service.wait(10)

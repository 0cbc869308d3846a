"""What a worker can no longer do once it is shut in, tried from inside; and that none outlives what started it."""

import asyncio
import gc
import os
import platform
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from common.errors import Transient
from support import media
from support.transcoding import workers
from support.waiting import until
from transcoder.ffmpeg import FfmpegDecoder
from transcoder.settings import TranscoderSettings

LINUX = sys.platform == "linux"
FILTERED = LINUX and platform.machine() in {"x86_64", "aarch64"}

TRY = """
import ctypes, mmap, os, signal, socket, sys
from transcoder.worker.sandbox import Limits, enter
pipe = os.pipe()
parent = os.getppid()
print(enter(Limits(cpu_seconds=1, memory_mib=512, uid=65534)), file=sys.stderr, flush=True)
def allowed(what):
    try:
        what()
    except (OSError, MemoryError, BlockingIOError):
        return False
    return True
print(allowed(lambda: {attempt}))
sys.stdout.flush()
os._exit(0)
"""


def attempt(code: str) -> str:
    argv = [sys.executable, "-c", TRY.format(attempt=code)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or str(done.returncode)


@pytest.fixture
async def decoder() -> AsyncIterator[FfmpegDecoder]:
    made = await FfmpegDecoder.detect(TranscoderSettings())
    yield made
    made.close()


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return media.long_silence(tmp_path, minutes=30)


@pytest.mark.skipif(not FILTERED, reason="Linux on a machine whose system calls are known")
@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/hostname')",
        "open(sys.executable, 'rb')",
        "os.listdir('/')",
        "open('/tmp/written', 'w')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(parent, 0)",
        "os.kill(os.getpid(), 0)",
        "os.setuid(0)",
        "os.chdir('/')",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "bytearray(1 << 30)",
    ],
)
def test_a_shut_in_process_cannot(code: str) -> None:
    assert attempt(code) == "False"


def test_a_shut_in_process_can_compute_and_use_what_is_open() -> None:
    assert attempt("(os.write(pipe[1], b'x'), os.read(pipe[0], 1), bytearray(1 << 26))") == "True"


def test_computing_time_is_limited() -> None:
    assert attempt("[None for _ in iter(int, 1)]") == str(-signal.SIGXCPU)


async def test_every_layer_holds_or_is_named(decoder: FfmpegDecoder) -> None:
    assert {"limits", "no new processes"} <= set(decoder.held)
    assert not set(decoder.held) & set(decoder.missing)
    assert ("own user" in decoder.held) is (os.geteuid() == 0)
    if FILTERED:
        assert {"seccomp", "no new privileges", "no capabilities", "ends with its parent"} <= set(decoder.held)


@pytest.mark.skipif(not LINUX, reason="/proc is Linux's")
async def test_a_worker_holds_a_file_and_a_pipe_and_knows_nothing(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "swordfish")
    secret = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)
    decoder = await FfmpegDecoder.detect(TranscoderSettings())
    try:
        async with decoder.open(long):
            (worker,) = workers()
            proc = Path(f"/proc/{worker.pid}")
            if os.geteuid() == 0:
                targets = sorted(fd.readlink().name for fd in (proc / "fd").iterdir())
                assert {*targets} - {"null", long.name} == {next(name for name in targets if name.startswith("pipe:"))}
                assert b"swordfish" not in (proc / "environ").read_bytes()
                assert set((proc / "status").read_text().split("Uid:")[1].split()[:4]) == {"65534"}
                assert (proc / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    finally:
        decoder.close()
        os.close(secret)


async def test_each_file_has_a_process_of_its_own(decoder: FfmpegDecoder, long: Path) -> None:
    seen = []
    for _ in range(3):
        async with decoder.open(long):
            seen += [worker.pid for worker in workers()]
        assert workers() == []
    assert len(set(seen)) == 3


async def test_a_forking_process_that_died_is_replaced(decoder: FfmpegDecoder, long: Path) -> None:
    async with decoder.open(long) as decoding:
        (worker,) = workers()
        worker.parent().kill()  # type: ignore[union-attr]
        with pytest.raises(Transient):
            async for _ in decoding.pcm():
                pass
        if LINUX:
            until(lambda: not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE, seconds=10)
    async with decoder.open(media.SAMPLES / "monologue.wav") as decoding:
        assert sum([len(chunk) async for chunk in decoding.pcm()]) == 551_840


async def test_a_forking_process_that_is_stopped_ends_nothing_but_its_files(long: Path) -> None:
    decoder = await FfmpegDecoder.detect(TranscoderSettings())
    files = [decoder.open(long) for _ in range(3)]
    for file in files:
        await file.__aenter__()
    assert len(workers()) == 3
    forking = workers()[0].parent()
    assert forking is not None
    decoder.close()
    assert workers() == []
    assert not forking.is_running()
    for file in files:
        await file.__aexit__(None, None, None)


async def test_a_decoder_that_nobody_closed_goes_with_the_last_who_knew_it() -> None:
    others = zygotes()
    decoder = await FfmpegDecoder.detect(TranscoderSettings())
    ours = zygotes() - others
    assert ours
    del decoder
    gc.collect()  # another test of the session may have made the collector's turns rare
    until(lambda: not ours & zygotes(), seconds=10)


def zygotes() -> set[int]:
    return {child.pid for child in psutil.Process().children() if "transcoder.worker" in child.cmdline()}


async def test_a_cancelled_task_leaves_nothing_running(decoder: FfmpegDecoder, long: Path) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with decoder.open(long):
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert workers() == []

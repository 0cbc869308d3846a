"""A confined program is ended as a whole and stays inside its limits."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from transcoder.ffmpeg.confine import Limits, confined

ROOMY = Limits(cpu_seconds=60, memory_mib=None)


async def run(script: str, limits: Limits = ROOMY, **options: object) -> tuple[int | None, str]:
    async with confined(["/bin/sh", "-c", script], limits, **options) as process:  # type: ignore[arg-type]
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_whole_group_dies_with_its_context() -> None:
    async with confined(["/bin/sh", "-c", "sleep 300 & sleep 300 & echo ready; wait"], ROOMY) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        group = [child for child in psutil.process_iter() if _group(child.pid) == process.pid]
        assert len(group) == 3
    _, alive = await asyncio.to_thread(psutil.wait_procs, group, timeout=10)
    assert not alive


async def test_a_program_that_ignores_polite_signals_and_floods_its_pipes_dies_too() -> None:
    async with confined(["/bin/sh", "-c", "trap '' TERM INT HUP; yes >&2 & yes"], ROOMY) as process:
        assert process.stdout is not None
        await process.stdout.read(10)
    assert process.returncode == -signal.SIGKILL


async def test_computing_time_is_limited() -> None:
    returncode, _ = await run("while :; do :; done", Limits(cpu_seconds=1, memory_mib=None))
    assert returncode == -signal.SIGXCPU


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space")
async def test_memory_is_limited() -> None:
    script = f"{sys.executable} -I -S -c 'bytearray(10**9)' 2>/dev/null && echo got it"
    assert "got it" in (await run(script, Limits(60, 4000)))[1]
    assert "got it" not in (await run(script, Limits(60, 256)))[1]


async def test_no_file_can_be_written(tmp_path: Path) -> None:
    await run(f"echo text > {tmp_path}/file")
    assert not (tmp_path / "file").exists() or (tmp_path / "file").read_bytes() == b""


async def test_it_inherits_no_secret_and_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "swordfish")
    secret = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        _, output = await run("env; ls /proc/self/fd /dev/fd 2>/dev/null | tr '\\n' ' '")
    finally:
        os.close(secret)
    assert "swordfish" not in output
    assert str(secret) not in output.rsplit("=", 1)[-1].split()[1:]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_it_runs_as_another_user() -> None:
    assert (await run("id -u; id -G", uid=65534))[1].split() == ["65534", "65534"]


async def test_a_cancelled_task_leaves_nothing_running() -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        async with confined(["/bin/sleep", "300"], ROOMY) as process:
            started.set_result(process.pid)
            await process.wait()

    task = asyncio.create_task(work())
    pid = await started
    task.cancel()
    await asyncio.wait([task])
    assert not psutil.pid_exists(pid)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0

"""What only a folder can do wrong: full, broken, read-only or gone; a slow disk; a writer that was killed."""

import asyncio
import ctypes
import errno
import os
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from common.blobs import BlobsUnavailable, read_all
from common.blobs.folder import FolderBlobs
from common.blobs.open import open_blobs
from common.leases.open import open_leases
from common.settings import CommonSettings

MIB = 1024 * 1024


async def stream(blocks: int, size: int = MIB) -> AsyncIterator[bytes]:
    for _ in range(blocks):
        yield b"x" * size


def left_over(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("call", ["open", "writev", "fsync", "link"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_store_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, streamed: bool
) -> None:
    blobs = FolderBlobs(tmp_path)
    with monkeypatch.context() as patched:

        def refuse(*_args: object, **_named: object) -> None:
            raise OSError(code, os.strerror(code), "/secret/path")

        patched.setattr(os, call, refuse)
        with pytest.raises(BlobsUnavailable) as refused:
            await blobs.write("a/b", stream(3) if streamed else b"x")
    assert "secret" not in str(refused.value)
    assert left_over(tmp_path) == []
    assert await blobs.write("a/b", b"later") is True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB, where this user may mount one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(tmp_path), b"tmpfs", 0, b"size=4m") != 0:
        pytest.skip(f"mounting a small disk: {os.strerror(ctypes.get_errno())}")
    yield tmp_path
    libc.umount2(os.fsencode(tmp_path), 2)


async def test_a_full_disk(small_disk: Path) -> None:
    blobs = FolderBlobs(small_disk)
    assert await blobs.write("kept", b"x" * MIB)
    for full in (stream(8), b"x" * 8 * MIB):
        with pytest.raises(BlobsUnavailable, match="No space left"):
            await blobs.write("big", full)
    assert await blobs.stat("big") is None
    assert await blobs.write("fits", b"x" * 2 * MIB), "the space of the broken writes is free again"
    assert len(await read_all(blobs, "kept")) == MIB


@pytest.mark.parametrize("something", [False, True])
async def test_a_missing_folder_is_no_empty_store(tmp_path: Path, something: bool) -> None:
    root = tmp_path / "unmounted"
    if something:  # in its place
        root.touch()
    blobs = FolderBlobs(root)
    for call in (
        lambda: blobs.write("a", b"x"),
        lambda: blobs.write("a", stream(2)),
        lambda: blobs.stat("a"),
        lambda: read_all(blobs, "a"),
        lambda: blobs.remove("a"),
        lambda: anext(aiter(blobs.list("a"))),
    ):
        with pytest.raises(BlobsUnavailable):
            await call()
    assert not root.is_dir()


async def test_a_folder_that_went_away_has_lost_nothing(tmp_path: Path) -> None:
    root, away = tmp_path / "blobs", tmp_path / "away"
    root.mkdir()
    blobs = FolderBlobs(root)
    await blobs.write("job/a", b"x")
    assert await blobs.remove("other/") == 0
    root.rename(away)
    for stand_in in (lambda: root.write_bytes(b""), root.mkdir):  # a file there, an empty mount point
        stand_in()
        for call in (lambda: blobs.remove("job/"), lambda: blobs.stat("job/a"), lambda: read_all(blobs, "job/a")):
            with pytest.raises(BlobsUnavailable):
                await call()
        root.unlink() if root.is_file() else root.rmdir()
    away.rename(root)
    assert await blobs.remove("job/") == 1


async def test_the_loop_runs_on_and_memory_stays_flat(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = asyncio.create_task(tick())
    tracemalloc.start()
    try:
        assert await blobs.write("big", stream(1600, MIB // 8))
        size = 0
        async for chunk in blobs.read("big"):
            size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        ticking.cancel()
    assert size == 200 * MIB
    assert peak < 8 * MIB
    assert max(gaps) < 0.5


async def test_what_a_killed_writer_left_is_never_seen_and_is_swept(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from common.blobs.folder import FolderBlobs
async def slow():
    yield b"x" * 3_000_000
    print("begun", flush=True)
    await asyncio.sleep(60)
asyncio.run(FolderBlobs(pathlib.Path(sys.argv[1])).write("a", slow()))
"""
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        writer.send_signal(signal.SIGKILL)
    blobs = FolderBlobs(tmp_path)
    assert await blobs.stat("a") is None
    assert [info async for info in blobs.list("")] == []
    [left] = (tmp_path / ".incoming").iterdir()
    assert blobs.sweep() == 0, "it could be a write in progress"
    os.utime(left, (time.time() - 90_000,) * 2)
    assert blobs.sweep() == 1
    assert left_over(tmp_path) == []


async def test_a_blob_s_file_is_private_and_read_only(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.write("users/u/a", b"x")
    async with blobs.local("users/u/a") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE((tmp_path / "users").stat().st_mode) == 0o700


async def test_removing_leaves_no_empty_folders(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.write("users/u/a/1", b"x")
    await blobs.write("users/v/b", b"x")
    await blobs.remove("users/u/")
    assert {path.name for path in (tmp_path / "users").iterdir()} == {"v"}


async def test_a_blob_is_not_a_folder(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.write("a/b", b"x")
    with pytest.raises(ValueError, match="another blob"):
        await blobs.write("a/b/c", b"x")
    assert await blobs.stat("a") is None
    assert await blobs.write("a", b"x") is False


async def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    blobs = FolderBlobs(root)
    assert [info async for info in blobs.list("")] == []
    assert await blobs.remove("link") == 0
    assert (outside / "kept").exists()


async def test_opened_from_settings(tmp_path: Path) -> None:
    root = tmp_path / "new folder" / "blobs"
    settings = CommonSettings(blobs=root.as_uri())
    async with open_blobs(settings) as blobs, open_leases(settings) as leases:
        assert await blobs.write("a", b"x")
        lease = await leases.acquire("a")
        assert lease is not None
        assert [info.name async for info in blobs.list("")] == ["a"], "leases are not blobs"
        with pytest.raises(ValueError):
            await blobs.write(".leases/a", b"x")
        await leases.release(lease)


@pytest.mark.parametrize("setting", ["", "blobs", "file://host/x", "file:relative", "s3://x", "azure"])
async def test_settings_that_name_no_store(setting: str) -> None:
    settings = CommonSettings(blobs=setting, azure_blob_connection=None)
    with pytest.raises(ValueError, match="SCRIBEWIRE_BLOBS"):
        async with open_blobs(settings):
            pass
    with pytest.raises(ValueError, match="SCRIBEWIRE_BLOBS"):
        async with open_leases(settings):
            pass


async def test_opening_succeeds_while_the_store_is_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with open_blobs(CommonSettings(blobs=(tmp_path / "file" / "blobs").as_uri())) as blobs:
        with pytest.raises(BlobsUnavailable):
            await blobs.write("a", b"x")


async def test_writers_side_by_side_make_the_same_folders(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    for turn in range(60):
        written = await asyncio.gather(*(blobs.write(f"users/{turn}/deep/er/{i}", b"x") for i in range(6)))
        assert all(written)

"""What only a folder's growing files can go wrong with, and which of many writers' pieces are true."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.blobs import BlobsUnavailable, read_all
from common.blobs.folder import GATHERING_DAYS, FolderBlobs
from common.blobs.pieces import Piece, Turn, chain

WRITER = """
import asyncio, sys
from pathlib import Path
from common.blobs.folder import FolderBlobs

async def chunks():
    yield b"x" * (2 * 1024 * 1024)
    # They are written while the next ones are asked for.
    while (Path(sys.argv[1]) / ".gathering/a/b").stat().st_size < 2 * 1024 * 1024:
        await asyncio.sleep(0.01)
    print("stored", flush=True)
    await asyncio.Event().wait()

asyncio.run(FolderBlobs(Path(sys.argv[1])).gather("a/b", 0, chunks()))
"""


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("call", ["writev", "fsync"])
async def test_bytes_that_are_not_on_the_disk_are_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.gather("a/b", 0, chunks(b"abc"))
    with monkeypatch.context() as patched:

        def refuse(*_args: object) -> None:
            raise OSError(errno.ENOSPC, "full", "/secret/path")

        patched.setattr(os, call, refuse)
        with pytest.raises(BlobsUnavailable) as refused:
            await blobs.gather("a/b", 3, chunks(b"def"))
    assert "secret" not in str(refused.value)
    found = await blobs.gathered("a/b")
    assert found is not None
    assert await blobs.gather("a/b", found.size, chunks(b"def"[found.size - 3 :])) == 6
    await blobs.seal("a/b", 6)
    assert await read_all(blobs, "a/b") == b"abcdef"


async def test_size_is_told_only_when_the_bytes_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.gather("a/b", 0, chunks(b"abc"))
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert await blobs.gathered("a/b") is not None
    assert len(synced) == 1


async def test_a_killed_writer_keeps_nobody_away(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"stored\n"
        writer.kill()
        writer.wait()
    found = await blobs.gathered("a/b")
    assert found is not None
    assert found.size == 2 * 1024 * 1024
    assert await blobs.gather("a/b", found.size, chunks(b"y")) == found.size + 1


async def test_killed_between_the_link_and_the_end(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.gather("a/b", 0, chunks(b"abc"))
    (tmp_path / "a").mkdir()
    os.link(tmp_path / ".gathering/a/b", tmp_path / "a/b")
    found = await blobs.gathered("a/b")
    assert found is not None
    assert found.size == 3
    await blobs.seal("a/b", 3)
    assert not (tmp_path / ".gathering/a/b").exists()
    assert await read_all(blobs, "a/b") == b"abc"


async def test_a_link_that_fails_leaves_a_file_that_can_be_sealed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.gather("a/b", 0, chunks(b"abc"))
    with monkeypatch.context() as patched:

        def refuse(*_args: object, **_more: object) -> None:
            raise OSError(errno.EIO, "broken")

        patched.setattr(os, "link", refuse)
        with pytest.raises(BlobsUnavailable):
            await blobs.seal("a/b", 3)
    assert (tmp_path / ".gathering/a/b").stat().st_mode & 0o777 == 0o600
    await blobs.seal("a/b", 3)
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o400
    assert await read_all(blobs, "a/b") == b"abc"


async def test_what_was_given_up_is_swept(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.gather("old/b", 0, chunks(b"abc"))
    await blobs.gather("new/b", 0, chunks(b"abc"))
    long_ago = time.time() - (GATHERING_DAYS + 1) * 86_400
    os.utime(tmp_path / ".gathering/old/b", (long_ago, long_ago))
    assert blobs.sweep() == 1
    assert await blobs.gathered("old/b") is None
    assert await blobs.gathered("new/b") is not None


def test_a_later_turn_makes_void_what_an_earlier_one_adds() -> None:
    first, second = Turn(1, "a"), Turn(2, "b")
    one, two = Piece(first, 0, 4), Piece(first, 4, 4)
    late, last = Piece(first, 8, 4), Piece(second, 8, 2)
    assert chain([]) == []
    assert chain([two, one]) == [one, two]
    assert chain([two]) == [], "a gap"
    assert chain([last, late, two, one]) == [one, two, last]
    assert chain([one, two, Piece(second, 4, 1)]) == [one, Piece(second, 4, 1)]


def test_a_tail_counts_until_it_is_part_of_a_block() -> None:
    block, tail = Piece(Turn(1, "a"), 0, 4), Piece(Turn(1, "a"), 4, 1, tail=True)
    assert chain([tail, block]) == [block, tail]
    longer = Piece(Turn(2, "a"), 4, 4)
    assert chain([tail, block, longer]) == [block, longer]

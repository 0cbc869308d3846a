"""Azure that is down, or whose answers get lost: what a caller then sees (the peer is Azurite)."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.storage.blob.aio import BlobClient

from common.blobs import BlobsUnavailable, read_all
from common.blobs.azure import AzureBlobs
from common.blobs.azure_gather import AzureGathering
from common.blobs.open import open_blobs
from common.leases.azure import AzureLeases
from common.leases.open import open_leases
from common.settings import CommonSettings
from scribewire_local.ports import free_port


@pytest.fixture
async def blobs(azurite: str) -> AsyncIterator[AzureBlobs]:
    """An empty container."""
    async with AzureBlobs(azurite, f"c{uuid4().hex}") as store:
        yield store


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_down_is_said_soon_and_tells_no_secret(azurite: str) -> None:
    down = azurite.replace(azurite.split("127.0.0.1:")[1].split("/", 1)[0], str(free_port()))
    settings = CommonSettings.model_validate({"blobs": "azure", "azure_blob_connection": down})
    key = down.split("AccountKey=")[1].split(";")[0]
    async with open_blobs(settings) as store, open_leases(settings) as leases:
        began = time.monotonic()
        refused = await asyncio.gather(
            store.write("a", b"x"),
            store.write("a", chunks(b"x")),
            store.write(lambda: "a", chunks(b"x")),
            store.stat("a"),
            read_all(store, "a"),
            store.remove("a"),
            leases.acquire("a"),
            return_exceptions=True,
        )
        assert time.monotonic() - began < 10, "a heartbeat cannot wait longer"
        for error in refused:
            assert isinstance(error, BlobsUnavailable)
            assert key not in str(error)
            assert "127.0.0.1" not in str(error)


@pytest.mark.parametrize("method", ["upload_blob", "commit_block_list", "start_copy_from_url"])
async def test_a_write_whose_answer_was_lost_is_still_ours(
    blobs: AzureBlobs, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    send = getattr(BlobClient, method)
    sent = 0

    async def sent_twice(self: BlobClient, *args: Any, **named: Any) -> Any:
        nonlocal sent
        sent += 1
        await send(self, *args, **named)  # arrives, and the answer is lost: the client sends it again
        return await send(self, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(BlobClient, method, sent_twice)
        name = (lambda: "a") if method == "start_copy_from_url" else "a"
        assert await blobs.write(name, b"mine" if method == "upload_blob" else chunks(b"mi", b"ne")) is True
    assert sent == 1
    assert await blobs.write("a", b"theirs") is False
    assert await read_all(blobs, "a") == b"mine"


async def test_a_connection_that_breaks_in_mid_stream_leaves_nothing(
    blobs: AzureBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_args: Any, **_named: Any) -> None:
        raise ServiceResponseError("connection reset")

    with monkeypatch.context() as patched:
        patched.setattr(BlobClient, "commit_block_list", breaks)
        with pytest.raises(BlobsUnavailable):
            await blobs.write("a", chunks(b"x"))
    assert await blobs.stat("a") is None
    assert await blobs.write("a", b"later") is True


async def test_a_store_that_goes_down_while_blobs_are_removed_is_unavailable(
    blobs: AzureBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_args: Any, **_named: Any) -> None:
        raise ServiceResponseError("connection reset")

    await blobs.write("a", b"x")
    with monkeypatch.context() as patched:
        patched.setattr(BlobClient, "delete_blob", breaks)
        with pytest.raises(BlobsUnavailable):
            await blobs.remove("a")
    assert await blobs.remove("a") == 1


async def test_what_a_killed_writer_left_is_not_listed_and_is_swept(blobs: AzureBlobs) -> None:
    left = blobs._blob(".incoming/left")
    await left.upload_blob(b"x")
    await blobs.write("a", b"x")
    assert [info.name async for info in blobs.list("")] == ["a"]
    assert await blobs.sweep() == 0, "it could be a write in progress"
    assert await blobs.sweep(older_than=-60) == 1
    assert not await left.exists()


async def test_leases_are_not_blobs_and_are_swept(azurite: str) -> None:
    container = f"c{uuid4().hex}"
    async with AzureBlobs(azurite, container) as blobs, AzureLeases(azurite, container, ttl=15) as leases:
        lease = await leases.acquire("a")
        assert lease is not None
        assert [info async for info in blobs.list("")] == []
        assert await leases.sweep(older_than=-60) == 0, "it is alive"
        assert await leases.renew(lease)


def test_a_life_that_azure_does_not_allow(azurite: str) -> None:
    with pytest.raises(ValueError, match="60 seconds"):
        AzureLeases(azurite, "c", ttl=61)


async def test_what_another_seals_meanwhile_is_sealed(blobs: AzureBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = AzureGathering.begin

    async def after_another(self: AzureGathering, size: int) -> None:
        monkeypatch.setattr(AzureGathering, "begin", begin)
        await blobs.seal(f"raced/{size}", 3)
        await begin(self, size)

    await blobs.gather("raced/3", 0, chunks(b"abc"))
    monkeypatch.setattr(AzureGathering, "begin", after_another)
    await blobs.seal("raced/3", 3)
    assert await read_all(blobs, "raced/3") == b"abc"

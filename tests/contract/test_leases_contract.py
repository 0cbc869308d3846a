"""What every kind of lease promises, over every one there is: memory, a folder, Azure (Azurite)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob.aio import ContainerClient

from common.leases import Lease, Leases
from common.leases.azure import AzureLeases
from common.leases.folder import FolderLeases
from common.testing.leases import MemoryLeases


@dataclass
class Store:
    """A store of leases and how long one lives there, in seconds."""

    leases: Leases
    ttl: float


@pytest.fixture(params=["memory", "folder", pytest.param("azure", marks=pytest.mark.slow)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store of each kind, with the shortest life it allows or one that suits a test."""
    if request.param == "memory":
        yield Store(MemoryLeases(0.4), 0.4)
    elif request.param == "folder":
        yield Store(FolderLeases(tmp_path / ".leases", ttl=0.4), 0.4)
    else:
        async with AzureLeases(request.getfixturevalue("azurite"), f"c{uuid4().hex}", ttl=1) as azure:
            yield Store(azure, 15)


async def taken(leases: Leases, name: str) -> Lease:
    lease = await leases.acquire(name)
    assert lease is not None
    return lease


async def lapsed(store: Store, name: str) -> Lease:
    """Wait until a silent holder's lease can be taken; it must take about its life."""
    began = time.monotonic()
    while True:
        lease = await store.leases.acquire(name)
        if lease is not None:
            assert time.monotonic() - began > store.ttl * 0.5, "taken from a holder that was alive"
            return lease
        assert time.monotonic() - began < store.ttl * 3 + 2, "a silent holder's lease never lapsed"
        await asyncio.sleep(store.ttl / 20)


async def test_one_holder(store: Store) -> None:
    lease = await taken(store.leases, "a")
    assert (lease.name, lease.takeovers, lease.alone) == ("a", 0, 0)
    assert await store.leases.acquire("a") is None
    assert (await taken(store.leases, "b")).takeovers == 0


async def test_released_is_free_and_forgotten(store: Store) -> None:
    lease = await taken(store.leases, "a")
    assert await store.leases.renew(lease, alone=True)
    await store.leases.release(lease)
    await store.leases.release(lease)
    assert await store.leases.renew(lease) is False
    again = await taken(store.leases, "a")
    assert (again.takeovers, again.alone) == (0, 0)
    await store.leases.release(lease)
    assert await store.leases.acquire("a") is None, "a lost lease releases nobody else's"
    assert await store.leases.renew(lease, alone=True) is False
    assert await store.leases.renew(again)


async def test_what_was_put_aside_is_free_and_remembered(store: Store) -> None:
    lease = await taken(store.leases, "a")
    assert lease.buried is None
    assert await store.leases.renew(lease, alone=True)
    await store.leases.bury(lease, "0")
    assert await store.leases.renew(lease, alone=True) is False
    again = await taken(store.leases, "a")
    assert (again.takeovers, again.alone, again.buried) == (0, 0, "0"), "at once, and as at the beginning"
    await store.leases.bury(lease, "late")
    await store.leases.release(lease)
    assert await store.leases.acquire("a") is None, "a lost lease buries and releases nobody else's"
    assert await store.leases.renew(again, alone=True), "other marks keep what was put aside"
    await store.leases.bury(again, "0123456789abcdef" * 2)
    third = await taken(store.leases, "a")
    assert (third.takeovers, third.alone, third.buried) == (0, 0, "0123456789abcdef" * 2)
    await store.leases.release(third)
    assert (await taken(store.leases, "a")).buried is None, "a life that ended well is not put aside"


async def test_of_many_at_once_one_gets_it(store: Store) -> None:
    got = await asyncio.gather(*(store.leases.acquire("a") for _ in range(20)))
    assert sum(lease is not None for lease in got) == 1
    winner = next(lease for lease in got if lease is not None)
    assert winner.takeovers == 0


async def test_what_time_does_to_leases(store: Store) -> None:
    """All at once, each on leases of its own: Azure's shortest life is 15 s, and a wait costs no more beside others."""
    async with asyncio.TaskGroup() as together:
        for promise in (
            beats_keep_it,
            silence_loses_it_and_is_counted,
            the_mark_of_running_alone_outlives_its_holders,
            a_late_beat_keeps_what_nobody_took,
            what_was_put_aside_outlives_its_holders_and_may_be_said_late,
        ):
            together.create_task(promise(store, promise.__name__))


async def beats_keep_it(store: Store, name: str) -> None:
    lease = await taken(store.leases, name)
    end = time.monotonic() + store.ttl * 1.5
    while time.monotonic() < end:
        assert await store.leases.renew(lease)
        assert await store.leases.acquire(name) is None
        await asyncio.sleep(store.ttl / 10)


async def silence_loses_it_and_is_counted(store: Store, name: str) -> None:
    first = await taken(store.leases, name)
    second = await lapsed(store, name)
    assert (second.takeovers, second.alone) == (1, 0)
    assert await store.leases.renew(first) is False
    await store.leases.release(first)
    assert await store.leases.renew(second), "a lost lease releases nobody else's"
    third = await lapsed(store, name)
    assert (third.takeovers, third.alone) == (2, 0)
    await store.leases.release(third)
    assert (await taken(store.leases, name)).takeovers == 0


async def the_mark_of_running_alone_outlives_its_holders(store: Store, name: str) -> None:
    first = await taken(store.leases, name)
    assert await store.leases.renew(first, alone=True)
    assert await store.leases.renew(first), "a plain beat keeps the mark"
    second = await lapsed(store, name)
    assert (second.takeovers, second.alone) == (1, 1)
    assert await store.leases.renew(first, alone=True) is False
    third = await lapsed(store, name)
    assert (third.takeovers, third.alone) == (2, 1), "the mark stays until the work is released"
    await store.leases.release(third)
    assert (await taken(store.leases, name)).alone == 0


async def a_late_beat_keeps_what_nobody_took(store: Store, name: str) -> None:
    lease = await taken(store.leases, name)
    await asyncio.sleep(store.ttl * 1.2)
    assert await store.leases.renew(lease)
    assert await store.leases.acquire(name) is None


async def what_was_put_aside_outlives_its_holders_and_may_be_said_late(store: Store, name: str) -> None:
    lease = await taken(store.leases, name)
    await asyncio.sleep(store.ttl * 1.2)
    await store.leases.bury(lease, "0")
    assert (await taken(store.leases, name)).buried == "0"
    second = await lapsed(store, name)
    assert (second.takeovers, second.alone, second.buried) == (1, 0, "0")


@pytest.mark.slow
@pytest.mark.parametrize(("said", "alone"), [("no", 0), ("yes", 1), ("2", 2)])
async def test_azure_reads_what_a_service_of_before_wrote(azurite: str, said: str, alone: int) -> None:
    name = f"c{uuid4().hex}"
    async with AzureLeases(azurite, name, ttl=1) as leases:
        container = ContainerClient.from_connection_string(azurite, name)
        lease = await taken(leases, "a")
        await leases.bury(lease, "0")
        (blob,) = [found.name async for found in container.list_blobs()]
        await container.get_blob_client(blob).set_blob_metadata({"held": "yes", "takeovers": "1", "alone": said})
        await container.close()
        again = await taken(leases, "a")
        assert (again.takeovers, again.alone, again.buried) == (2, alone, None)

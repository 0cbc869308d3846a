"""A producer that has reached no broker holds whoever makes records back, and says so once it is closed."""

import asyncio

import pytest

from common.bus.producer import BusUnavailable, Outgoing, Producer
from scribewire_local.ports import free_port

RECORD = Outgoing("stage.progress", b"key", b"{}", [])


async def test_a_record_is_taken_only_when_a_broker_was_reached() -> None:
    producer = Producer(f"127.0.0.1:{free_port()}", service="test")
    await producer.start()
    sending = asyncio.create_task(producer.send(RECORD))
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    assert not done
    await producer.stop()
    async with asyncio.timeout(5):
        acknowledged = await sending
    with pytest.raises(BusUnavailable):
        await acknowledged

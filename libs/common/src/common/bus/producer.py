"""The one producer of a process: idempotent, keyed, acknowledged; it outlives a broker that is away."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from common.bus import trace
from common.bus.crew import close, dismiss
from common.envelope import body, headers
from common.errors import Permanent
from common.events import Event

log = structlog.get_logger(__name__)

MAX_RECORD_BYTES = 2 * 1024 * 1024 - 4096
"""Largest record sent, a little under the brokers' ``message.max.bytes``."""

MAX_EVENT_BYTES = MAX_RECORD_BYTES - 64 * 1024
"""Largest body of an event: leaves room for its headers, and for what a retry or a dead letter adds to them."""

_BACKOFF = (0.1, 5.0)
_TURN_DIGITS = 9
"""More are no turn: a dead letter keeps the key that a record came with, and Python refuses to read thousands."""


class BusUnavailable(Exception):  # noqa: N818 - named for the state, not the class
    """The broker did not acknowledge in time. The record may still be delivered later."""


class Outgoing(NamedTuple):
    """A record as it goes out."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def partition_of(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """The partition of a key: CRC-32, as librdkafka's clients do by default; a random one without a key.

    aiokafka's own is Java's murmur2 in Python, a tenth of all the time that an event costs; this is one call into C.
    A key that ends in ``#`` and a number takes its turn: its partition is that many after the one of what is before it.
    """
    if key is None:
        return random.choice(available or partitions)  # noqa: S311 - spreads load, hides nothing
    whole, mark, turn = key.rpartition(b"#")
    if mark and len(turn) <= _TURN_DIGITS and turn.isdigit():
        return partitions[(crc32(whole) + int(turn)) % len(partitions)]
    return partitions[crc32(key) % len(partitions)]


class Producer:
    """Publishes events, each acknowledged by all replicas, in order for a key.

    Parameters
    ----------
    bootstrap
        Kafka's bootstrap servers.
    service
        Whose events these are: becomes ``ce_source``.
    """

    def __init__(self, bootstrap: str, *, service: str) -> None:
        self._bootstrap = bootstrap
        self._service = service
        self._client: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._old: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether a broker has been reached; it may be away again by now."""
        return self._client is not None

    async def start(self) -> None:
        """Begin to connect; returns at once, whether or not a broker is there."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    async def stop(self, grace: float = 5.0) -> None:
        """Flush what is under way for at most ``grace`` seconds, then close."""
        await dismiss(self._connecting)
        client, self._client = self._client, None
        if client is not None:
            await close("the producer", client.stop(), grace)
        await dismiss(*self._old)
        self._up.set()

    async def publish(self, event: Event, *, timeout: float | None = None) -> None:
        """Publish an event and return when the broker has acknowledged it.

        Raises
        ------
        BusUnavailable
            It did not within ``timeout`` seconds (None waits for ever). It may still be delivered later.
        """
        await self.deliver(self.outgoing(event), timeout=timeout)

    async def publish_many(self, events: Iterable[Event]) -> None:
        """Publish events in order and return when all are acknowledged, however long the broker is away."""
        under_way = [(out, await self.send(out)) for out in map(self.outgoing, events)]
        for out, acknowledged in under_way:
            await self.settle(out, acknowledged)

    async def tombstone(self, topic: str, key: str) -> None:
        """Make a compacted topic forget a key; acknowledged."""
        await self.deliver(Outgoing(topic, key.encode(), None, []))

    def outgoing(self, event: Event, traceparent: bytes | None = None) -> Outgoing:
        """An event as a record, in the caller's trace or at the root of a new one.

        Raises
        ------
        Permanent
            It is too large for a record.
        """
        attributes = headers(event, service=self._service, traceparent=traceparent or trace.child(None))
        value = body(event)
        if len(value) > MAX_EVENT_BYTES:
            raise Permanent("too_large", "A result is larger than the platform can pass on.")
        return Outgoing(event.topic, event.key.encode(), value, attributes)

    async def send(self, out: Outgoing) -> asyncio.Future[Any]:
        """Hand a record over; the future is done once it is acknowledged. Fails only through the future.

        Returns once a broker was reached and there is room for the record, so that whoever makes records is held back.
        """
        await self._up.wait()
        client = self._client
        if client is None:
            return _failed(BusUnavailable("the producer is closed"))
        try:
            future: asyncio.Future[Any] = await client.send(out.topic, out.value, out.key, headers=out.headers)
        except KafkaError as error:
            return _failed(error)
        return future

    async def settle(self, out: Outgoing, acknowledged: asyncio.Future[Any]) -> None:
        """Wait for `send`'s future; where it failed, deliver the record again until it is acknowledged."""
        try:
            await acknowledged
        except KafkaError:
            await self.deliver(out)

    async def deliver(self, out: Outgoing, *, timeout: float | None = None) -> None:
        """Send a record until it is acknowledged.

        Raises
        ------
        BusUnavailable
            It was not within ``timeout`` seconds.
        MessageSizeTooLargeError
            The record is larger than `MAX_RECORD_BYTES`.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._deliver(out)
        except TimeoutError as error:
            msg = f"Kafka did not acknowledge within {timeout} s"
            raise BusUnavailable(msg) from error

    async def _deliver(self, out: Outgoing) -> None:
        wait = _BACKOFF[0]
        while True:
            await self._up.wait()
            client = self._client
            if client is None:
                raise BusUnavailable("the producer is closed")
            try:
                await (await client.send(out.topic, out.value, out.key, headers=out.headers))
            except MessageSizeTooLargeError:
                raise
            except KafkaError as error:
                log.warning("publish failed, will try again", topic=out.topic, error=repr(error))
                if not isinstance(error, UnknownTopicOrPartitionError | KafkaTimeoutError):
                    self._replace(client)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _BACKOFF[1])
            else:
                return

    def _replace(self, client: Any) -> None:
        # An idempotent client retries by itself whatever can be retried. An error that comes out of it is final for the
        # sequence numbers of that partition, so a new client takes over. The old one keeps what it has until that is
        # acknowledged or has failed too: whoever waits for it must not wait for ever.
        if self._client is not client:
            return
        self._client = None
        self._up.clear()
        closing = asyncio.create_task(_closed(client))
        self._old.add(closing)
        closing.add_done_callback(self._old.discard)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        wait = _BACKOFF[0]
        while True:
            client: Any = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=f"scribewire-{self._service}",
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                max_batch_size=262_144,
                max_request_size=MAX_RECORD_BYTES,
                metadata_max_age_ms=60_000,
                partitioner=partition_of,
            )
            try:
                await client.start()
            except BaseException as error:
                await close("a producer that did not connect", client.stop(), 1.0)
                if not isinstance(error, KafkaError):
                    raise
                log.warning("kafka is not reachable, will try again", error=repr(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, _BACKOFF[1])
            else:
                self._client = client
                self._up.set()
                return


def _failed(error: Exception) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


async def _closed(client: Any) -> None:
    await client.stop()

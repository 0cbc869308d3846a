"""What becomes of an event that failed: a delayed retry, or a dead letter and a word to the user."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

import structlog
from aiokafka.errors import MessageSizeTooLargeError

from common import topics
from common.bus.producer import Outgoing, Producer
from common.bus.record import Record, header
from common.envelope import Headers
from common.errors import Permanent, Transient
from common.events import ErrorInfo, Event, Stage, StageFailed

log = structlog.get_logger(__name__)

REPLAY = "x-replay"
"""Header of a dead letter that was put back: where it lay, and when it was put back; kept through its retries."""
_HISTORY = 20
_ERROR_CHARS = 500
_LONGEST_WAIT = 24 * 3600.0
"""Seconds; who asks for more is asked again after a day."""
_jitter = random.Random().uniform  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True)
class Failure:
    """Why one delivery failed, for a program, for a person, and the wait that was asked for in seconds."""

    code: str
    message: str
    kind: str
    permanent: bool = False
    retry_after: float | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What a handler raised, in the house's two words; an unknown error tells the user no details."""
        kind = type(error).__name__
        if isinstance(error, Permanent):
            return cls(error.code, error.message, kind, permanent=True)
        if isinstance(error, Transient):
            return cls(error.code, error.message, kind, retry_after=error.retry_after)
        return cls("internal", "Something went wrong on our side; it was tried several times.", kind)


def delivery_number(record: Record, service: str) -> int:
    """Which delivery of its event to this service a record is, counted from 1."""
    for name, value in record.headers:
        if name == "x-attempt":
            owner, _, number = value.partition(b" ")
            # Another service may read the same topic and see this one's retries.
            if owner == service.encode() and number.isdigit():
                return int(number)
    return 1


def life_of(record: Record) -> str:
    """Which life of its event a record belongs to: its first, ``0``, or that of the replay which put it back."""
    replayed = header(record.headers, REPLAY)
    return "0" if replayed is None else hashlib.blake2b(replayed, digest_size=8).hexdigest()


def stage_failed(event: Event, failure: Failure, service: str, attempts: int) -> StageFailed | None:
    """The word that a service gave up on an event; None when the contract has no such word for that service."""
    if service not in get_args(Stage):
        return None
    return StageFailed(
        **event.job,
        stage=cast("Stage", service),
        failed_part=event.part,
        error=ErrorInfo(code=failure.code, message=failure.message),
        delivery_attempts=attempts,
    )


class Failures:
    """Puts failed records where they belong; every word is acknowledged before the record counts as finished.

    Parameters
    ----------
    delays
        Seconds of the retry topics, short to long.
    limit
        Deliveries after which an event is dead.
    """

    def __init__(self, service: str, producer: Producer, *, delays: Sequence[float], limit: int) -> None:
        self._service = service
        self._producer = producer
        self._delays = tuple(delays)
        self._limit = limit
        self._topics = topics.retries(service)

    async def failed(self, record: Record, event: Event, failure: Failure, traceparent: bytes | None = None) -> str:
        """Delay the event for another try, or give it up; ``retried`` or ``dead``."""
        number = delivery_number(record, self._service)
        if failure.permanent or number >= self._limit:
            await self.give_up(record, event, failure, traceparent)
            return "dead"
        try:
            await self._retry(record, number, failure)
        except MessageSizeTooLargeError:
            await self.give_up(record, event, failure, traceparent)
            return "dead"
        return "retried"

    async def give_up(self, record: Record, event: Event, failure: Failure, traceparent: bytes | None = None) -> None:
        """Dead letter, and `stage.failed` with the words for the user."""
        number = delivery_number(record, self._service)
        await self.bury(record, failure)
        said = stage_failed(event, failure, self._service, number)
        if said is not None:
            await self._producer.deliver(self._producer.outgoing(said, traceparent))

    async def bury(self, record: Record, failure: Failure) -> None:
        """Dead letter: the record's own bytes and headers, and what happened to it."""
        number = delivery_number(record, self._service)
        headers = [
            *self._history(record, number, failure),
            ("x-stage", self._service.encode()),
            ("x-attempts", str(number).encode()),
            ("x-error-class", failure.kind.encode()),
            ("x-error-code", failure.code.encode()),
            ("x-error-message", failure.message[:_ERROR_CHARS].encode()),
            ("x-origin", record.topic.encode()),
            ("x-origin-position", f"{record.partition}/{record.offset}".encode()),
        ]
        log.error(
            "dead letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=failure.code,
            error=failure.kind,
            attempts=number,
        )
        out = Outgoing(topics.dead(record.topic), record.key, record.value, headers)
        try:
            await self._producer.deliver(out)
        except MessageSizeTooLargeError:
            # It fitted its own topic by a hair and no longer does with these headers.
            cut = (record.value or b"")[: len(record.value or b"") // 2]
            size = str(len(record.value or b"")).encode()
            await self._producer.deliver(out._replace(value=cut, headers=[*headers, ("x-truncated-from", size)]))

    async def _retry(self, record: Record, number: int, failure: Failure) -> None:
        planned = self._delays[min(number, len(self._delays)) - 1]
        # Never sooner than asked for; jitter otherwise only shortens, so that the topic's own delay covers it.
        wait = max(planned * _jitter(0.7, 1.0), min(failure.retry_after or 0.0, _LONGEST_WAIT) * _jitter(1.0, 1.1))
        now = datetime.now(UTC)
        headers = [
            *self._history(record, number, failure),
            ("x-origin", record.topic.encode()),
            ("x-attempt", f"{self._service} {number + 1}".encode()),
            ("x-not-before", (now + timedelta(seconds=wait)).isoformat().encode()),
        ]
        log.warning("will try again", topic=record.topic, attempt=number, seconds=round(wait, 1), error=failure.kind)
        topic = self.topic_for(wait)
        await self._producer.deliver(Outgoing(topic, record.key, record.value, headers))

    def topic_for(self, wait: float) -> str:
        """The retry topic with the shortest delay that covers a wait; the longest for any longer one."""
        for topic, delay in zip(self._topics, self._delays, strict=True):
            if wait <= delay:
                return topic
        return self._topics[-1]

    def _history(self, record: Record, number: int, failure: Failure) -> list[tuple[str, bytes]]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        kept = [(name, value) for name, value in record.headers if not name.startswith("x-") or name == REPLAY]
        errors = [(name, value) for name, value in record.headers if name == "x-error"][-_HISTORY:]
        said = f"{self._service} {number} {now} {failure.kind} {failure.code}: {failure.message[:_ERROR_CHARS]}"
        first = header(record.headers, "x-first-seen") or now.encode()
        return [*kept, ("x-first-seen", first), *errors, ("x-error", said.encode())]


def without_marks(headers: Headers) -> list[tuple[str, bytes]]:
    """Headers of a record that returns to its topic: its own, its count of deliveries and its history."""
    return [(name, value) for name, value in headers if name not in {"x-origin", "x-not-before"}]

"""The dead letters of a topic: `python -m common.bus.dead list | show | replay` looks at them and puts them back.

What has been dealt with is a committed offset of the group ``scribewire.dead``, so nobody keeps a list. A broker has to
keep it longer than the letters, which stay 28 days: ``offsets.retention.minutes``, a week by default.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from common import topics
from common.bus.failures import REPLAY
from common.bus.producer import Outgoing, Producer
from common.bus.record import Record, header
from common.settings import CommonSettings

GROUP = "scribewire.dead"
_MARKS = "x-"


@dataclass(frozen=True)
class Letter:
    """A dead letter. ``place`` names it: topic of dead letters, partition and offset."""

    place: str
    offset: int
    at: datetime
    record: Record

    def says(self, mark: str) -> str:
        """What one of its marks says: ``x-error-code``, ``x-attempts`` …; empty where there is none."""
        return (header(self.record.headers, mark) or b"").decode(errors="replace")

    @property
    def cut(self) -> bool:
        """Whether it was too large to keep whole; then it cannot be put back."""
        return bool(self.says("x-truncated-from"))

    def put_back(self, now: datetime) -> Outgoing:
        """The record as it was on its topic, to be counted as delivered never before, with the mark of a new life."""
        own = [(name, value) for name, value in self.record.headers if not name.startswith(_MARKS)]
        again = (REPLAY, f"{self.place} {now.isoformat()}".encode())
        return Outgoing(self.says("x-origin"), self.record.key, self.record.value, [*own, again])


class Letters:
    """The dead letters of one topic.

    Parameters
    ----------
    consumer
        Of the group `GROUP`, assigned the partitions of the topic of dead letters.
    partitions
        These partitions.
    """

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def read(self, *, all_of_them: bool = False) -> list[Letter]:
        """Letters that nobody has dealt with, or all that are kept, up to the present end."""
        ends = await self._consumer.end_offsets(self._partitions)
        begins = await self._consumer.beginning_offsets(self._partitions)
        found: list[Letter] = []
        for place in ends:
            dealt_with = 0 if all_of_them else await self._consumer.committed(place) or 0
            self._consumer.seek(place, max(begins[place], dealt_with))
        while behind := [place for place, end in ends.items() if await self._consumer.position(place) < end]:
            for records in (await self._consumer.getmany(*behind, timeout_ms=1000)).values():
                found += [_letter(record) for record in records]
        return found

    async def deal_with(self, letters: Iterable[Letter]) -> None:
        """Remember that everything up to the last of these has been dealt with."""
        ends: dict[TopicPartition, int] = {}
        for letter in letters:
            place = TopicPartition(letter.record.topic, letter.record.partition)
            ends[place] = max(ends.get(place, 0), letter.offset + 1)
        if ends:
            await self._consumer.commit(ends)


@asynccontextmanager
async def letters_of(bootstrap: str, topic: str) -> AsyncIterator[Letters]:
    """The dead letters of a topic, named without its ``.dead``."""
    partitions = await _partitions(bootstrap, topics.dead(topic))
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        yield Letters(consumer, partitions)
    finally:
        await consumer.stop()


async def replay(bootstrap: str, topic: str, *, wanted: Callable[[Letter], bool] | None = None) -> list[Letter]:
    """Put dead letters back on the topics they came from, as they were but for `REPLAY`; return those put back.

    Without ``wanted`` it is every letter that nobody has dealt with, and they then are. With it, letters are looked for
    among all that are kept, and none counts as dealt with. Stopped half-way it may put a letter back twice, which
    changes nothing: an event's id stays what it was.
    """
    producer = Producer(bootstrap, service="dead")
    await producer.start()
    try:
        async with letters_of(bootstrap, topic) as dead:
            found = await dead.read(all_of_them=wanted is not None)
            chosen = [one for one in found if not one.cut and (wanted is None or wanted(one))]
            # A record whose partition moved while it was buried has two letters.
            chosen = list({(one.says("x-origin"), one.says("x-origin-position")): one for one in chosen}.values())
            for letter in chosen:
                await producer.deliver(letter.put_back(datetime.now(UTC)))
            if wanted is None:
                await dead.deal_with(found)
    finally:
        await producer.stop()
    return chosen


async def _partitions(bootstrap: str, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (found,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if found["error_code"]:
        raise for_code(found["error_code"])(topic)
    return [TopicPartition(topic, part["partition"]) for part in found["partitions"]]


def _letter(record: Record) -> Letter:
    place = f"{record.topic}/{record.partition}/{record.offset}"
    at = datetime.fromtimestamp(getattr(record, "timestamp", 0) / 1000, UTC)
    return Letter(place, record.offset, at, record)


def _line(letter: Letter) -> str:
    key = (letter.record.key or b"").decode(errors="replace")
    said = f"{letter.says('x-stage')} {letter.says('x-error-code')}: {letter.says('x-error-message')}"
    return f"{letter.place}  {letter.at:%Y-%m-%d %H:%M:%S}  {key}  attempts {letter.says('x-attempts')}  {said}"


def _whole(letter: Letter) -> str:
    marks = [f"{name}: {value.decode(errors='backslashreplace')}" for name, value in letter.record.headers]
    return "\n".join([letter.place, *marks, "", (letter.record.value or b"").decode(errors="backslashreplace")])


async def _run(chosen: argparse.Namespace, bootstrap: str) -> list[str]:
    asked = {f"{topics.dead(chosen.topic or '')}/{place}" for place in chosen.place or ()}
    if chosen.command == "replay":
        wanted = (lambda letter: letter.place in asked) if asked else None
        back = await replay(bootstrap, chosen.topic, wanted=wanted)
        return [*(f"put back {letter.place}" for letter in back), f"{len(back)} put back"]
    said: list[str] = []
    show = _whole if chosen.command == "show" else _line
    for topic in [chosen.topic] if chosen.topic else [spec.name for spec in topics.specs() if _has_letters(spec.name)]:
        async with letters_of(bootstrap, topic) as dead:
            found = await dead.read(all_of_them=chosen.all or chosen.command == "show")
            said += [show(letter) for letter in found if not asked or letter.place in asked]
    return said or ["no dead letters"]


def _has_letters(name: str) -> bool:
    return not name.endswith(".dead") and ".retry." not in name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 unless Kafka is away."""
    parser = argparse.ArgumentParser(
        prog="python -m common.bus.dead", description="Look at dead letters, put them back."
    )
    parser.add_argument("command", choices=["list", "show", "replay"])
    parser.add_argument("topic", nargs="?", help="topic that the letters were meant for; list without one takes all")
    parser.add_argument("place", nargs="*", help="PARTITION/OFFSET of letters; replay without one takes all new ones")
    parser.add_argument("--all", action="store_true", help="list also what has been dealt with")
    chosen = parser.parse_args(arguments)
    if chosen.command != "list" and not chosen.topic:
        parser.error(f"{chosen.command} needs a topic")
    bootstrap = CommonSettings().kafka
    try:
        print("\n".join(asyncio.run(_run(chosen, bootstrap))))
    except KafkaError as error:
        print(f"Kafka at {bootstrap}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

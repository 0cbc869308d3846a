"""How much lies on some topics and how much of it was read: what a progress bar needs to know."""

from collections.abc import Sequence
from typing import Self

from aiokafka import AIOKafkaConsumer


class Extent:
    """Partitions between their starts and their ends as they were when this was made.

    Parameters
    ----------
    begins
        First offset of each partition.
    ends
        The offset after the last.
    """

    def __init__(self, begins: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]) -> None:
        self._begins = begins
        self._ends = ends
        self._reached = dict(begins)

    @classmethod
    async def of(cls, bootstrap: str, topics: Sequence[str]) -> Self:
        """What lies on topics now."""
        # Without a group, every partition of the topics is assigned at once.
        async with AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
            partitions = list(consumer.assignment())
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        return cls(
            {(place.topic, place.partition): offset for place, offset in begins.items()},
            {(place.topic, place.partition): offset for place, offset in ends.items()},
        )

    def reached(self, topic: str, partition: int, next_offset: int) -> None:
        """Note how far a partition was read; what compaction removed counts as read, what came later does not count."""
        place = (topic, partition)
        self._reached[place] = min(next_offset, self._ends.get(place, next_offset))

    @property
    def total(self) -> int:
        """Offsets there are."""
        return sum(self._ends[place] - begin for place, begin in self._begins.items())

    @property
    def read(self) -> int:
        """Offsets that were read."""
        return sum(self._reached[place] - begin for place, begin in self._begins.items())

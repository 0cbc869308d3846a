"""Audio on its way from the decoder to the cutter: as it is, or passage by passage through plug-ins."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise

from common.plugins.audio import Audio
from common.plugins.process import Outcome, Plugins
from transcoder.cut import Cutter
from transcoder.places import Places
from transcoder.ports import RATE, SAMPLE_BYTES

PASSAGE_SECONDS = 60.0
"""Longest passage: what a plug-in must hold at once, and what is held for it."""

MOST_PARTS = 20
"""Parts of one passage that are kept apart; the shortest gaps between more are filled with silence instead.

A recording of a day that is one segment has 29,000 places then at most, which fit into its event.
"""


class Unchanged:
    """No plug-in has anything to do with the audio; also what all ways of treating it have in common."""

    def __init__(self) -> None:
        self.places = Places()
        """Where in the recording that lies which is kept."""
        self.outcome: Outcome | None = None
        """After `finish`: what plug-ins left, None without any."""
        self._taken = 0

    @property
    def seconds(self) -> float:
        """Seconds of the recording so far."""
        return self._taken / (RATE * SAMPLE_BYTES)

    async def feed(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Take some of the recording; yield what is to be cut into segments."""
        self._taken += len(pcm)
        yield pcm

    async def finish(self) -> AsyncIterator[bytes]:
        """Yield what is left. Raises as `common.plugins.process.Plugins` does."""
        return
        yield b""  # pragma: no cover - makes it a generator


class Unheard(Unchanged):
    """Plug-ins that have something to do with the text only."""

    def __init__(self, plugins: Plugins) -> None:
        super().__init__()
        self._plugins = plugins

    async def finish(self) -> AsyncIterator[bytes]:
        """Ask the plug-ins for their settings."""
        self.outcome = await self._plugins.outcome()
        return
        yield b""  # pragma: no cover - as above


class Passages(Unheard):
    """Plug-ins that change the audio. What they keep has its place in the recording; never is nothing kept at all."""

    def __init__(self, plugins: Plugins) -> None:
        super().__init__(plugins)
        self._cutter = Cutter(PASSAGE_SECONDS)
        self._passed = 0
        self._kept = 0
        self._first = b""

    async def feed(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Take some of the recording; yield what is kept of the passages that are whole."""
        self._taken += len(pcm)
        for passage, _ in self._cutter.feed(pcm):
            async for kept in self._through(passage):
                yield kept

    async def finish(self) -> AsyncIterator[bytes]:
        """Yield what is kept of the rest, then ask the plug-ins for their settings."""
        for passage, _ in self._cutter.finish():
            async for kept in self._through(passage):
                yield kept
        if not self._kept and self._first:
            # A recording without a segment would never be done: silence is recognised as silence.
            self.places.add(0, 0)
            yield self._first
        async for kept in super().finish():
            yield kept

    async def _through(self, pcm: bytes) -> AsyncIterator[bytes]:
        whole = pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES]  # a broken file may end inside a sample
        self._first = self._first or whole[: RATE * SAMPLE_BYTES]
        passage = Audio(whole, self._passed // SAMPLE_BYTES)
        self._passed += len(whole)
        for part in _few(await self._plugins.pre_process(passage)):
            self.places.add(self._kept, part.at * SAMPLE_BYTES)
            self._kept += len(part.pcm)
            yield part.pcm


def _few(parts: Sequence[Audio]) -> Iterator[Audio]:
    """The parts, with the shortest gaps filled where there are too many."""
    gaps = [after.at - (before.at + before.samples) for before, after in pairwise(parts)]
    kept = set(sorted(range(len(gaps)), key=lambda at: -gaps[at])[: MOST_PARTS - 1])
    joined: list[bytes] = []
    first = 0
    for number, part in enumerate(parts):
        joined.append(part.pcm)
        if number == len(parts) - 1 or number in kept:
            yield parts[first].with_pcm(b"".join(joined))
            joined, first = [], number + 1
        else:
            joined.append(bytes(gaps[number] * SAMPLE_BYTES))

"""The audio that a job asks for with ``audio_format``: stored beside its original, before its manifest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.blobs import Blobs
from common.bus import Context
from common.events import UploadReceived
from common.manifest import Manifest
from common.stored_audio import Facts, StoredAudio
from transcoder.kept import Kept
from transcoder.ports import RATE, SAMPLE_BYTES, Cancelled, Decoder
from transcoder.telling import PROGRESS_SECONDS, under_way

LARGEST = 2048 << 20
"""Bytes of such audio, where nothing else is said."""


class Beside:
    """Keeps and stores the audio of jobs that ask for it; others cost nothing.

    Parameters
    ----------
    largest
        Bytes it may have.
    clock
        Monotonic seconds, for pacing progress.
    """

    def __init__(self, *, blobs: Blobs, decoder: Decoder, largest: int, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._decoder = decoder
        self._largest = largest
        self._clock = clock

    @contextmanager
    def keeping(self, event: UploadReceived) -> Iterator[Kept | None]:
        """Where a decoder puts the job's audio; None where none is asked for."""
        if event.options.audio_format is None:
            yield None
            return
        with Kept(event.options.audio_format, largest=self._largest) as kept:
            yield kept

    async def store(self, kept: Kept | None, seconds: float, event: UploadReceived, context: Context) -> Facts:
        """Store what was kept of a job; what there is to tell of it.

        Raises
        ------
        Permanent
            When it cannot be written in this format; `Cancelled` when the job was cancelled.
        """
        if kept is None:
            return {}
        stored = await kept.store(self._blobs, event.owner, event.job_id, seconds=seconds)
        if context.cancelled():  # what is erased meanwhile must not come back
            raise Cancelled
        return stored.facts()

    async def added(self, copy: Manifest, event: UploadReceived, context: Context) -> Manifest:
        """A copy's manifest with the audio that is asked for: from the other job, or else decoded once more.

        Nothing is recognised again; raises as decoding and `store` do.
        """
        if event.options.audio_format is None or StoredAudio.among(copy.media) is not None:
            return copy
        told, seconds = self._clock(), 0.0
        with self.keeping(event) as kept:
            async with (
                self._blobs.local(event.source.name) as source,
                self._decoder.open(source, kept) as decoding,
            ):
                async for pcm in decoding.pcm():
                    if context.cancelled():
                        raise Cancelled
                    seconds += len(pcm) / (RATE * SAMPLE_BYTES)
                    if self._clock() - told >= PROGRESS_SECONDS:
                        told = self._clock()
                        await context.publish(under_way(event, decoding, seconds))
                stored = await self.store(kept, seconds, event, context)
        return copy.model_copy(update={"media": {**copy.media, **stored}})

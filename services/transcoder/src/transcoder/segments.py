"""Writes a job's audio as segments, one after another, and knows where each begins and ends."""

from uuid import UUID

from common import layout
from common.blobs import Blobs
from common.manifest import Piece
from transcoder.places import Places
from transcoder.spool import Spool


class SegmentWriter:
    """The segments of one job; no more than the one that grows is held.

    ``places`` knows where in the recording the audio it gets was heard.

    Methods may raise `common.blobs.BlobsUnavailable`, and `OSError` when the disk under a long segment is full.
    """

    def __init__(self, blobs: Blobs, owner: str, job: UUID) -> None:
        self._blobs = blobs
        self._owner = owner
        self._job = job
        self.places = Places()
        self._spool = Spool()
        self._stored = 0
        self.pieces: list[Piece] = []
        """The segments stored so far."""

    async def add(self, pcm: bytes) -> None:
        """Append audio to the segment that grows."""
        await self._spool.add(pcm)

    async def cut(self) -> None:
        """End the segment that grows and store it."""
        index, behind = len(self.pieces), self._stored + self._spool.size
        name = layout.segment_audio(self._owner, self._job, index)
        size = self._spool.wav_size
        if not await self._blobs.write(name, self._spool.wav()):
            await self._replace_stranger(name, size)
        self.pieces.append(
            Piece(
                index=index,
                start=self.places.start(self._stored),
                end=self.places.end(behind),
                audio=name,
                size=size,
                places=self.places.between(self._stored, behind),
            )
        )
        self._stored = behind
        self._spool.clear()

    def close(self) -> None:
        """Forget what was not stored."""
        self._spool.clear()

    async def _replace_stranger(self, name: str, size: int) -> None:
        """Put our segment in place of one that an earlier attempt with another ffmpeg cut elsewhere."""
        found = await self._blobs.stat(name)
        if found is None or found.size != size:
            await self._blobs.remove(name)
            await self._blobs.write(name, self._spool.wav())


async def discard(blobs: Blobs, owner: str, job: UUID) -> None:
    """Remove all audio of a job save its original: it will not have a transcript. May raise `BlobsUnavailable`."""
    await blobs.remove(layout.manifest(owner, job).rpartition("/")[0] + "/")

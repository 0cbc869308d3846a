"""A job's whole audio in the format that was asked for: a temporary file while it is written, then a blob."""

import tempfile
from collections.abc import AsyncIterator
from typing import Self
from uuid import UUID

from common import layout
from common.audio_formats import AUDIO_FORMATS
from common.blobs import BlobNotFound, Blobs
from common.blobs.threads import in_thread
from common.errors import Permanent
from common.stored_audio import StoredAudio
from transcoder.causes import CAUSES

IN_MEMORY = 1024 * 1024
"""Bytes held in memory; what is longer is on the disk."""

_READ = 1024 * 1024


class Kept:
    """Implements `transcoder.ports.Keeping`, for a decoder that may have been taken over by what it decodes.

    A context manager: the temporary file is gone behind it.

    Parameters
    ----------
    name
        A name of `common.audio_formats.AUDIO_FORMATS`.
    largest
        Bytes it may have.
    """

    def __init__(self, name: str, *, largest: int) -> None:
        self.name = name
        self.format = AUDIO_FORMATS[name]
        self.size = 0
        self._largest = largest
        self._channels = 0
        self._rate = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._file.close()

    async def take(self, at: int, data: bytes) -> None:
        """Put bytes at a place; see `transcoder.ports.Keeping`."""
        if at > self.size:  # no muxer of ours leaves a gap, and what fills one would be held in memory
            raise CAUSES["encoder"].permanent()
        behind = at + len(data)
        if behind > self._largest:
            raise Permanent(
                "audio_too_large",
                f"As {self.name} the audio would have more than {self._largest >> 20} MiB. "
                "Ask for another audio_format, such as mp3 or opus, or for none.",
            )
        self.size = max(self.size, behind)
        if self.size > IN_MEMORY:
            await in_thread(self._put, at, data)
        else:
            self._put(at, data)

    def written(self, *, channels: int, sample_rate: int) -> None:
        """How it was written; see `transcoder.ports.Keeping`."""
        self._channels, self._rate = channels, sample_rate

    async def store(self, blobs: Blobs, owner: str, job: UUID, *, seconds: float) -> StoredAudio:
        """Store it as the job's, unless it is there; say what is stored.

        Parameters
        ----------
        seconds
            How long the audio is.

        Raises
        ------
        Permanent
            When nothing was written, or the decoder says of it what cannot be.
        BlobNotFound
            When the job was erased meanwhile.
        """
        if not self.size or self._channels not in (1, 2) or self._rate not in self.format.rates:
            raise CAUSES["encoder"].permanent()
        blob, size = layout.stored_audio(owner, job, self.format.ending), self.size
        if not await blobs.write(blob, self._content()):
            # Somebody was first, perhaps with another version of the encoder: theirs is what is downloaded.
            if (found := await blobs.stat(blob)) is None:
                raise BlobNotFound(blob)
            size = found.size
        return StoredAudio(self.name, self.format.codec, self._channels, self._rate, round(seconds, 3), size)

    async def _content(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        while block := await in_thread(self._file.read, _READ):
            yield block

    def _put(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        self._file.write(data)

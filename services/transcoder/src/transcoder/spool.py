"""A WAV file while it grows: in memory as long as it is small, then in a temporary file."""

import struct
import tempfile
from collections.abc import AsyncIterator

from common.blobs.threads import in_thread
from transcoder.ports import RATE, SAMPLE_BYTES

IN_MEMORY = 16 * 1024 * 1024
"""Bytes held in memory: eight minutes of audio. A longer piece is one that an engine must hear whole."""

_READ = 1024 * 1024
_HEADER_BYTES = 44


class Spool:
    """Collects samples and gives them back as a WAV file. Raises `OSError` when the disk is full."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115 - closed by `clear`
        self.size = 0
        """Bytes of samples."""

    @property
    def wav_size(self) -> int:
        """Bytes of the WAV file."""
        return _HEADER_BYTES + self.size

    async def add(self, pcm: bytes) -> None:
        """Append samples; off the event loop once a disk is involved."""
        self.size += len(pcm)
        if self.size > self._in_memory:
            await in_thread(self._file.write, pcm)
        else:
            self._file.write(pcm)

    async def wav(self) -> AsyncIterator[bytes]:
        """Iterate over the WAV file with all samples so far."""
        yield _header(self.size)
        self._file.seek(0)
        while block := await in_thread(self._file.read, _READ):
            yield block

    def clear(self) -> None:
        """Forget the samples and begin anew."""
        self._file.close()
        self._file = tempfile.SpooledTemporaryFile(max_size=self._in_memory)  # noqa: SIM115 - closed by `clear`
        self.size = 0


def _header(data: int) -> bytes:
    """What stands before ``data`` bytes of samples; a day of audio stays below the format's 4 GiB."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", _HEADER_BYTES - 8 + data, b"WAVE",
        b"fmt ", 16, 1, 1, RATE, RATE * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES,
        b"data", data,
    )  # fmt: skip

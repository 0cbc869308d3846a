"""What the handler needs of a decoder, and of whoever fetches bytes from addresses."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.address import Fetched
from common.audio_formats import AudioFormat
from common.events import UploadReceived

RATE = 16_000
"""Samples a second of everything a decoder gives."""

SAMPLE_BYTES = 2
"""Bytes of one sample: signed, little-endian, one channel."""


@dataclass(frozen=True)
class Media:
    """What a file says it is.

    ``duration`` is its own claim in seconds, None when it makes none; ``estimated`` says that it is a guess from the
    file's size. How loud it is, its mean power and its loudest sample in dB below full scale, is known only after the
    last sample.
    """

    container: str
    codec: str
    channels: int
    sample_rate: int
    duration: float | None = None
    estimated: bool = False
    mean_dbfs: float | None = None
    peak_dbfs: float | None = None

    def facts(self) -> Mapping[str, str | int | float]:
        """The same as a flat mapping, as events and the manifest carry it."""
        known = {"mean_dbfs": self.mean_dbfs, "peak_dbfs": self.peak_dbfs}
        return {
            "container": self.container,
            "codec": self.codec,
            "channels": self.channels,
            "sample_rate": self.sample_rate,
            **{name: value for name, value in known.items() if value is not None},
        }


class Keeping(Protocol):
    """Where a decoder puts the whole audio in a format of `common.audio_formats` while it decodes."""

    @property
    def name(self) -> str:
        """Which format."""
        ...

    @property
    def format(self) -> AudioFormat:
        """Its entry in the table."""
        ...

    async def take(self, at: int, data: bytes) -> None:
        """Put bytes at a place of the file that is no further than its end.

        Raises `common.errors.Permanent` when the file would be larger than is allowed, or the place is beyond its end,
        and `OSError` when the disk is full.
        """
        ...

    def written(self, *, channels: int, sample_rate: int) -> None:
        """After the last byte: how it was written."""
        ...


class Decoding(Protocol):
    """A file that is being decoded."""

    @property
    def media(self) -> Media:
        """What the file is."""
        ...

    @property
    def damaged(self) -> bool:
        """After the last sample: whether some of the file could not be read, though its end was reached."""
        ...

    def pcm(self) -> AsyncIterator[bytes]:
        """Iterate once over the audio as `RATE` samples a second of 16-bit mono, in chunks of some seconds.

        A chunk may end inside a sample. Raises `common.errors.Permanent` when the file cannot be decoded or
        exceeds a limit, `common.errors.Transient` when the decoder was killed from outside.
        """
        ...


class Cancelled(Exception):  # noqa: N818 - named for what happened
    """The job was cancelled while it was worked on."""


class Remote(Protocol):
    """Brings the bytes of jobs whose source is an address. Both methods may raise `common.blobs.BlobsUnavailable`."""

    async def fetched(self, event: UploadReceived) -> Fetched | None:
        """What was fetched for the job before, or None."""
        ...

    async def fetch(self, event: UploadReceived, cancelled: Callable[[], bool]) -> Fetched:
        """Fetch the bytes and store them as the job's original; of several at once one decides which bytes it has.

        Raises `common.errors.Permanent` and `common.errors.Transient` with words that do not tell the address,
        `Cancelled` when ``cancelled`` says so, and `common.blobs.BlobNotFound` when the address is gone.
        """
        ...


class Decoder(Protocol):
    """Turns media of any kind into audio."""

    def open(self, source: Path, keeping: Keeping | None = None) -> AbstractAsyncContextManager[Decoding]:
        """Begin to decode a local file; leaving the context ends the decoder, wherever it is.

        With ``keeping`` the same audio, at its own rate and in stereo where it has several channels, is written there
        as well; it is whole when `Decoding.pcm` is exhausted.

        Raises `common.errors.Permanent` (``not_media``, ``no_audio``, ``encrypted``, ``truncated``, …) when there is
        nothing to decode.
        """
        ...

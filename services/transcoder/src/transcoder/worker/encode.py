"""Writes decoded frames as one file of a format, whose bytes go elsewhere as they come."""

from collections.abc import Callable
from fractions import Fraction
from itertools import chain

import av
from av import AudioFrame, AudioResampler, AudioStream, FFmpegError
from av.container import OutputContainer

from common.audio_formats import AudioFormat
from transcoder.worker.resample import Form, silent
from transcoder.worker.wire import Findings

_BUFFER = 64 * 1024
"""Bytes that are given away at once; a message holds them with room to spare."""

Give = Callable[[int, bytes], None]
"""Takes bytes, and their place in the file: a header is completed when the rest is written."""


class Encoder:
    """One file; the first frame decides how many channels and samples a second it has.

    What goes wrong here is no fault of the recording: it is found out at the end, see `finish`.
    """

    def __init__(self, target: AudioFormat, give: Give) -> None:
        self._target = target
        self._file = _Elsewhere(give)
        self._open: tuple[OutputContainer, AudioStream] | None = None
        self._form: Form | None = None
        self._resampler: AudioResampler | None = None
        self._position = 0
        self._cause: str | None = None

    def feed(self, frame: AudioFrame, silence: int = 0) -> None:
        """Take a frame, and so many samples of silence before it."""
        if self._cause is None:
            self._trying(lambda: self._feed(frame, silence))

    def finish(self, findings: Findings) -> None:
        """Write the rest, and note what the file is, or why there is none; nothing where there was no frame."""
        if self._cause is None and self._open is not None:
            self._trying(self._finish)
        if self._cause is not None:
            findings.causes.add(self._cause)
        elif self._open is not None:
            stream = self._open[1]
            findings.kept_channels, findings.kept_rate = stream.channels, stream.rate

    def _trying(self, step: Callable[[], None]) -> None:
        try:
            step()
        except MemoryError:
            self._cause = "resources"
        except (FFmpegError, ValueError):
            self._cause = "encoder"

    def _feed(self, frame: AudioFrame, silence: int) -> None:
        form = Form.of(frame)
        if self._open is None:
            self._open = self._begun(frame)
        stream = self._open[1]
        if form != self._form:
            self._write(None)
            self._form = form
            self._resampler = AudioResampler(stream.format, stream.layout, stream.rate)
        for part in chain(silent(form, silence), (frame,)):  # one after another: a gap may be of ten minutes
            # The time stamps of the file have no part in it any more: silence stands where it had gaps.
            part.time_base = Fraction(1, form.rate)
            part.pts = None
            self._write(part)

    def _begun(self, frame: AudioFrame) -> tuple[OutputContainer, AudioStream]:
        target = self._target
        options = {**target.options, "fflags": "+bitexact"}  # the same recording gives the same bytes
        container = av.open(self._file, "w", format=target.container, container_options=options, buffer_size=_BUFFER)
        channels = target.channels(frame.layout.nb_channels)
        bit_rate = (target.bit_rate or 0) * channels
        stream = container.add_stream(target.encoder, rate=target.rate(frame.sample_rate), bit_rate=bit_rate)
        assert isinstance(stream, AudioStream)  # noqa: S101 - every encoder of the table is one of audio
        stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        stream.codec_context.thread_count = 1
        return container, stream

    def _write(self, frame: AudioFrame | None) -> None:
        """Encode a frame, or what the chain still holds before another one."""
        if self._open is None or self._resampler is None:
            return
        container, stream = self._open
        for part in self._resampler.resample(frame):
            if part is None:  # a chain with nothing to do passes on the end as well
                continue
            part.pts = self._position
            part.time_base = Fraction(1, stream.rate)
            self._position += part.samples
            container.mux(stream.encode(part))

    def _finish(self) -> None:
        assert self._open is not None  # noqa: S101 - see `finish`
        self._write(None)
        container, stream = self._open
        container.mux(stream.encode(None))
        container.close()


class _Elsewhere:
    """A file as the libraries write it, which can go back but not read."""

    def __init__(self, give: Give) -> None:
        self._give = give
        self._at = 0
        self._size = 0

    def write(self, data: bytes) -> int:
        """Take bytes for where we are."""
        self._give(self._at, data)
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Where we are."""
        return self._at

"""Decodes the first audio track of an open file with FFmpeg's libraries, under lists of what may be run at all."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import av.logging
from av import AudioFrame, AudioStream, FFmpegError
from av.container import InputContainer
from av.error import ArgumentError
from av.stream import Discard

from transcoder.ports import RATE, SAMPLE_BYTES
from transcoder.worker.allowed import CODECS, CONTAINERS
from transcoder.worker.encode import Encoder
from transcoder.worker.remarks import Remarks
from transcoder.worker.resample import Resampler, resampler_for
from transcoder.worker.timeline import Timeline
from transcoder.worker.wire import Described, Findings

_CLOCK_RESTARTS = 0x0200
"""`AVFMT_TS_DISCONT` among a container's flags."""

_OPTIONS = {
    "protocol_whitelist": "fd",
    "format_whitelist": ",".join(CONTAINERS),
    "codec_whitelist": ",".join(CODECS),
    "max_streams": "64",
    "probesize": "5000000",
    "analyzeduration": "10000000",
}

_WAVES = {b"RIFF", b"RF64", b"BW64"}

_WAVE_OPTIONS = {"max_probe_packets": "2"}
"""How much of a WAV's samples is searched for DTS or AC-3 that passes for samples. The libraries search four packets,
which on 16 bits at 44.1 kHz costs 23 ms, twice what it takes to decode ten seconds; two cost 1.5 ms and find those
that begin at once.
"""


class Extraction:
    """One file on its way to samples; what was found is in ``findings``, also when the file turns out to be none.

    Parameters
    ----------
    source
        Descriptor of the file, at its beginning.
    max_seconds
        Seconds of audio after which to stop, as if the file ended there.
    encoder
        Gets the same audio as it was decoded.
    """

    def __init__(self, source: int, max_seconds: float, encoder: Encoder | None = None) -> None:
        self._source = source
        self._encoder = encoder
        self._left = int(max_seconds * RATE) * SAMPLE_BYTES
        self.findings = Findings()
        self._remarks = Remarks(self.findings)

    def run(self, describe: Callable[[Described], None], give: Callable[[memoryview], None]) -> None:
        """Decode to the end: ``describe`` is called once there is an audio track, ``give`` with each chunk."""
        with self._remarks.listening():
            with self._forgiving():
                self._decode(describe, give)
            if self._encoder is not None:
                self._encoder.finish(self.findings)
        self.findings.mean_dbfs = self._remarks.loudness.mean_dbfs
        self.findings.peak_dbfs = self._remarks.loudness.peak_dbfs

    def _decode(self, describe: Callable[[Described], None], give: Callable[[memoryview], None]) -> None:
        options = {**_OPTIONS, "fd": str(self._source), **(_WAVE_OPTIONS if _is_wave(self._source) else {})}
        with av.open("fd:", container_options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                self.findings.causes.add("silent film")
                return
            stream = container.streams.audio[0]
            describe(self._described(container, stream))
            if stream.codec_context.codec.name not in CODECS:
                self.findings.causes.add("codec")
                return
            for chunk in self._chunks(container, stream):
                give(chunk[: self._left])
                self._left -= len(chunk)
                if self._left <= 0:
                    break

    def _described(self, container: InputContainer, stream: AudioStream) -> Described:
        self._remarks.take()
        context = stream.codec_context
        return Described(
            container=container.format.name,
            codec=context.codec.canonical_name if context else "unknown",
            channels=context.channels if context else 0,
            sample_rate=context.sample_rate if context else 0,
            duration=_duration(container, stream),
            estimated=self._remarks.estimated,
        )

    def _chunks(self, container: InputContainer, stream: AudioStream) -> Iterator[memoryview]:
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.thread_count = 1
        timeline: Timeline | None = None
        resampler: Resampler | None = None
        for frame in self._frames(container, stream):
            if timeline is None:
                timeline = _timeline(container, stream, frame)
            elif frame.sample_rate != timeline.rate:
                timeline = timeline.at_rate(frame.sample_rate)
                if resampler is not None:
                    yield from self._finished(resampler)
                resampler = None
            resampler = resampler or resampler_for(frame)
            if silence := timeline.gap(frame.pts, frame.samples):
                yield from resampler.feed_silence(silence)
            try:
                yield from resampler.feed(frame)
            except ArgumentError:
                yield from self._finished(resampler)
                resampler = resampler_for(frame)
                yield from resampler.feed(frame)
            if self._encoder is not None:
                self._encoder.feed(frame, silence)
        if resampler is not None:
            yield from self._finished(resampler)

    def _finished(self, resampler: Resampler) -> Iterable[memoryview]:
        yield from resampler.finish()
        av.logging.set_level(av.logging.INFO)  # only now: that a chain ends is when it says how loud the audio was
        resampler.close()
        av.logging.set_level(av.logging.WARNING)
        self._remarks.take()

    def _frames(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        with self._forgiving():
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    self.findings.ends_early = True
                try:
                    frames = stream.decode(packet)
                except (FFmpegError, MemoryError) as error:
                    self._note(error)
                else:
                    yield from frames
                self._remarks.take()
            return
        with self._forgiving():  # the file broke off: what the decoder still holds
            yield from stream.decode(None)

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Note an error and go on behind it: the rest of the file may be whole."""
        try:
            yield
        except (FFmpegError, MemoryError) as error:
            self._note(error)

    def _note(self, error: FFmpegError | MemoryError) -> None:
        if isinstance(error, MemoryError):
            self.findings.causes.add("resources")
        else:
            self.findings.broken = True


def _is_wave(source: int) -> bool:
    head = os.pread(source, 12, 0)
    return head[:4] in _WAVES and head[8:] == b"WAVE"


def _timeline(container: InputContainer, stream: AudioStream, frame: AudioFrame) -> Timeline:
    return Timeline(
        start=Fraction(container.start_time or 0, av.time_base),
        restarts=bool(container.format.flags & _CLOCK_RESTARTS),
        rate=frame.sample_rate,
        unit=stream.time_base or Fraction(1, frame.sample_rate),
    )


def _duration(container: InputContainer, stream: AudioStream) -> float | None:
    """Seconds from the recording's beginning to the end of its audio, as far as the file says; a film may go on."""
    ends = [] if container.duration is None else [Fraction(container.duration, av.time_base)]
    if stream.duration is not None and stream.time_base is not None:
        begins = (stream.start_time or 0) * stream.time_base - Fraction(container.start_time or 0, av.time_base)
        ends.append(begins + stream.duration * stream.time_base)
    return round(float(min(ends)), 2) if ends else None
